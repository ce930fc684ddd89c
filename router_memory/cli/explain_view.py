"""How a search explains itself on a terminal: scores, signals' shares, the cut, what was just below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from router_memory.cli.output import one_line, printable
from router_memory.cli.views import grid, headline
from router_memory.types.cache import CacheLevel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router_memory.types import Cut, Hit, Recollection

__all__ = ["explained"]

_INDENT = (0, 0, 0, 4)
_CONTENT_CHARS = 400
"""As much of a memory as tells which one it is; `get` shows the whole."""
_NOTHING = 0.0005
"""Contributions smaller than this would be shown as 0."""
_ANSWERED = {
    CacheLevel.MISS: "miss: the store was searched",
    CacheLevel.LOCAL: "level 1, in this process, answered",
    CacheLevel.SHARED: "level 2, on the server, answered",
    CacheLevel.JOINED: "an equal search under way at the same moment answered",
}
_LEGEND = (
    "Scores order, similarities are cut; a similarity grows with the support. The percentage of a signal is its share "
    "of all that moved the score, up or down."
)


def explained(recollection: Recollection) -> RenderableType:
    """What a search found, with the numbers behind it."""
    cut = recollection.cut
    parts: list[RenderableType] = [grid(_facts(recollection))]
    if recollection.hits:
        parts.append(Text("\nreturned", style="bold"))
        parts += [_scored(hit, _margin(hit, cut), "green") for hit in recollection.hits]
    if recollection.below:
        parts.append(Text("\nnext best, not returned", style="bold"))
        misses = zip(recollection.below, recollection.misses, strict=True)
        parts += [_scored(hit, miss.why, "yellow") for hit, miss in misses]
    if recollection.dropped:
        parts.append(Text("\nleft out", style="bold"))
        parts += [_scored(dropped.hit, dropped.why, "yellow") for dropped in recollection.dropped]
    if len(parts) > 1:
        parts.append(Text(f"\n{_LEGEND}", style="dim"))
    return Group(*parts)


def _facts(recollection: Recollection) -> dict[str, str]:
    cut = recollection.cut
    facts = {
        "searched for": recollection.query_text,
        "names taken out": ", ".join(recollection.names) or "none",
        "candidates": f"{recollection.candidates:,}",
        "threshold": f"{cut.threshold:.3f} (configured {cut.floor:.3f}, rule {cut.rule})",
        "why": cut.why,
        "time": ", ".join(f"{stage} {seconds * 1000:.1f} ms" for stage, seconds in recollection.seconds.items()),
    }
    if recollection.clipped:
        facts["clipped"] = "the query was too long: its two ends were searched for"
    if recollection.cache is not CacheLevel.OFF:
        facts["cache"] = _ANSWERED[recollection.cache]
    if not recollection.exact:
        facts["search"] = "approximate"
    if recollection.partial:
        facts["partial"] = "the store could not look at everything in time"
    return facts


def _margin(hit: Hit, cut: Cut) -> str:
    return f"{hit.similarity - cut.threshold:.3f} above the threshold"


def _scored(hit: Hit, verdict: str, style: str) -> RenderableType:
    content = printable(hit.record.content)
    if len(content) > _CONTENT_CHARS:
        content = content[: _CONTENT_CHARS - 1] + "…"
    measures = f"similarity {hit.similarity:.3f}, cosine {hit.cosine:.3f}, lexical {hit.lexical:.2f}: "
    told = Text(measures, style="dim").append(one_line(verdict), style=f"not dim {style}")
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(Text(f"score {hit.score:.3f} ="), _summands(hit.signals, hit.shares))
    if hit.support:
        table.add_row(Text(f"support {sum(hit.support.values()):.3f} ="), _summands(hit.support))
    inner = Group(Text(content), told, table)
    return Group(headline(hit.record, lead=f"{hit.similarity:.3f}"), Padding(inner, _INDENT))


def _summands(values: Mapping[str, float], shares: Mapping[str, float] | None = None) -> RenderableType:
    """What a sum is made of, largest part first; no part is broken over two lines."""
    ordered = sorted(values.items(), key=lambda item: -abs(item[1]))
    items = [
        Text.assemble(
            (f"{one_line(name)} ", "dim"),
            f"{value:+.3f}",
            (f" ({abs(shares[name]):.0%})" if shares is not None else "", "cyan"),
        )
        for name, value in ordered
        if abs(value) >= _NOTHING
    ]
    silent = ", ".join(one_line(name) for name, value in ordered if abs(value) < _NOTHING)
    parts: list[RenderableType] = [Columns(items, padding=(0, 3))] if items else []
    return Group(*parts, *([Text(f"{silent}: 0", style="dim")] if silent else []))
