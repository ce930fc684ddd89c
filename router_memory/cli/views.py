"""How memories, hits and statistics look on a terminal. Content is always made safe first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router_memory.cli.output import one_line, printable, safe
from router_memory.types.finding import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from router_memory.types import MemoryRecord, Page, Recollection, StoreStats

__all__ = ["details", "found", "grid", "headline", "memory", "page", "stats"]

_INDENT = (0, 0, 0, 4)


def memory(record: MemoryRecord, *, lead: str = "") -> RenderableType:
    """Two lines or more: what it is, and what it says."""
    return Group(headline(record, lead=lead), Padding(safe(record.content), _INDENT))


def headline(record: MemoryRecord, *, lead: str = "") -> Text:
    """Id, type, time, speaker and project on one line, behind what `lead` says."""
    facts = [record.type.value, f"{record.created_at:%Y-%m-%d %H:%M}", record.speaker or "", record.scope.project or ""]
    head = Text.assemble((f"{lead}  " if lead else "", "bold green"), (record.id, "cyan"))
    return head.append("  " + " · ".join(one_line(fact) for fact in facts if fact), style="dim")


def details(record: MemoryRecord) -> RenderableType:
    """Everything known about a memory."""
    table = grid(
        {
            "id": record.id,
            "user": record.scope.user_id,
            "project": record.scope.project or "–",
            "type": record.type.value,
            "speaker": record.speaker or "–",
            "conversation": record.conversation_id or "–",
            "created": _time(record.created_at),
            "updated": _time(record.updated_at),
            "importance": f"{record.importance:g}",
            "injected": _accesses(record),
        }
    )
    return Group(table, Padding(safe(record.content), (1, 0, 0, 0)))


def page(listed: Page) -> RenderableType:
    """One page of a listing."""
    if not listed.records:
        return Text("no memories", style="dim")
    foot = Text(f"{len(listed.records):,} of {listed.total:,} memories", style="dim")
    return Group(*(memory(record) for record in listed.records), foot)


def found(recollection: Recollection) -> RenderableType:
    """What a search found."""
    if not recollection.hits:
        return Text("no memories reached the threshold; --explain shows the nearest", style="dim")
    return Group(*(memory(hit.record, lead=f"{hit.similarity:.3f}") for hit in recollection.hits))


def stats(held: StoreStats, own: int | None = None) -> RenderableType:
    """What a store holds, and one user in it."""
    facts = {
        "backend": held.backend,
        "location": held.location,
        "memories": f"{held.memories:,}",
        "users": f"{held.users:,}",
        **({} if own is None else {"this user's": f"{own:,}"}),
        "size": size_text(held.bytes),
        "embedder": held.fingerprint,
        "dimension": f"{held.dimension:,}",
    }
    return grid(facts | {key.replace("_", " "): str(value) for key, value in held.details.items()})


def grid(facts: Mapping[str, str]) -> Table:
    """Facts by name, one below the other."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        table.add_row(Text(printable(key)), safe(value))
    return table


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _accesses(record: MemoryRecord) -> str:
    if not record.access_count or record.accessed_at is None:
        return "never"
    return f"{record.access_count:,} times, last {_time(record.accessed_at)}"
