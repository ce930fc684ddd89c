"""Commands for operators: forget and stats."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from router_memory.cli import options as opt
from router_memory.cli import views
from router_memory.cli.output import console, emit_json, one_line
from router_memory.cli.session import clear_cached, with_memory
from router_memory.errors import InvalidRequest, RouterMemoryError
from router_memory.plugin.describe import describe
from router_memory.types import MemoryType, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from router_memory.memory import MemoryPlugin
    from router_memory.types import StoreStats

__all__ = ["forget", "stats"]

_AGE = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def forget(
    user: opt.User,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Ids of the memories to delete.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", metavar="", help="Delete all memories of the user, or those the next options name.")
    ] = False,
    type: opt.Types = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="With --all: only those older than 30d, 12h, or an ISO date."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="With --all: do not ask.")] = False,
    project: opt.Project = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Deletes memories for good: some by their ids, or all of a user.

    With --all it asks first; where no terminal can answer, it wants --yes.
    """
    scope = Scope(user, project)
    if everything:
        if ids:
            raise InvalidRequest("ids and --all exclude each other", hint="see router-memory forget --help")
        before = None if older_than is None else parse_age(older_than, now=datetime.now(UTC))
        _forget_all(config, scope, type or (), before, yes=yes, as_json=as_json)
    elif type or older_than is not None:
        raise InvalidRequest("--type and --older-than need --all", hint="see router-memory forget --help")
    elif not ids:
        raise InvalidRequest("nothing to forget: give ids or --all", hint="see router-memory forget --help")
    else:
        _forget_some(config, scope, list(dict.fromkeys(ids)), as_json=as_json)


def stats(user: opt.OneUser = None, config: opt.Config = None, as_json: opt.Json = False) -> None:
    """Shows what the store holds, over all users, and how many memories one user has."""

    async def work(memory: MemoryPlugin) -> tuple[StoreStats, int | None]:
        return await memory.stats(), None if user is None else await memory.count(Scope(user))

    held, own = with_memory(config, work)
    if as_json:
        emit_json(describe(held) | ({} if own is None else {"user_memories": own}))
    else:
        console().print(views.stats(held, own))


def parse_age(text: str, *, now: datetime) -> datetime:
    """The moment an age such as ``30d`` reaches back to, or the ISO date or time itself; naive ones count as UTC.

    Raises:
        InvalidRequest: It is neither, or before the beginning of time.
    """
    wrong = InvalidRequest(
        f"--older-than must be an age such as 30d, 12h or 2w, or an ISO date, not {text!r}", field="older_than"
    )
    age = _AGE.fullmatch(text.strip())
    try:
        if age:
            return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise wrong from None


def _forget_some(config: Path | None, scope: Scope, ids: Sequence[str], *, as_json: bool) -> None:
    async def work(memory: MemoryPlugin) -> tuple[int, list[str]]:
        missing = [id for id in ids if await memory.get(scope, id) is None]  # noqa: A001 - the field's own name
        count = await memory.forget(scope, *ids)
        await clear_cached(memory, scope)
        return count, missing

    count, missing = with_memory(config, work)
    _report(count, as_json=as_json, missing=missing)
    if missing:
        raise RouterMemoryError(
            f"this user has no memory {', '.join(missing)}", hint="router-memory list shows the ids there are"
        )


def _forget_all(
    config: Path | None, scope: Scope, types: Sequence[MemoryType], before: datetime | None, *, yes: bool, as_json: bool
) -> None:
    if not yes and not sys.stdin.isatty():
        raise InvalidRequest("forget --all deletes for good and no terminal is there to ask", hint="pass --yes")

    async def work(memory: MemoryPlugin) -> int:
        if not yes:
            _ask(await memory.count(scope, types=types), scope, types, before)
        count = await memory.forget_scope(scope, types=types, older_than=before)
        await clear_cached(memory, scope)
        return count

    _report(with_memory(config, work), as_json=as_json)


def _ask(count: int, scope: Scope, types: Sequence[MemoryType], before: datetime | None) -> None:
    what = f"{count:,} {'/'.join(types)} memories" if types else f"{count:,} memories"
    age = f" those created before {before:%Y-%m-%d %H:%M} UTC of" if before else ""
    whose = one_line(scope.user_id) + (f", project {one_line(scope.project)}" if scope.project else "")
    if not typer.confirm(f"Forget{age} the {what} of {whose}? This cannot be undone.", err=True):
        raise RouterMemoryError("cancelled, nothing was forgotten")


def _report(count: int, *, as_json: bool, missing: Sequence[str] | None = None) -> None:
    if as_json:
        emit_json({"forgotten": count} | ({} if missing is None else {"missing": list(missing)}))
    else:
        console().print(f"forgot {count:,} {'memory' if count == 1 else 'memories'}")
