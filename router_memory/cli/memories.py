"""Commands for single memories: add, search, get, list, update."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from router_memory.cli import options as opt
from router_memory.cli import views
from router_memory.cli.explain_view import explained
from router_memory.cli.output import console, emit_json, one_line
from router_memory.cli.session import clear_cached, with_memory
from router_memory.errors import InvalidRequest, RouterMemoryError
from router_memory.plugin.describe import describe
from router_memory.types import MemoryType, Scope

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin
    from router_memory.types import MemoryRecord, Recollection

__all__ = ["add", "get", "list_", "search", "update"]

_STDIN = "-"


def add(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to remember; - reads standard input.")],
    user: opt.User,
    project: opt.Project = None,
    type: opt.NewType = MemoryType.SEMANTIC,
    speaker: Annotated[str | None, typer.Option("--speaker", metavar="NAME", help="Who said it.")] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Stores one memory.

    The same text of the same type again is the same memory and changes nothing.
    """
    scope = Scope(user, project)
    content = _content(text)
    record = with_memory(config, lambda memory: memory.add(scope, content, type=type, speaker=speaker))
    if as_json:
        emit_json(describe(record))
    else:
        console().print(views.memory(record))


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in plain words.")],
    user: opt.User,
    project: opt.Project = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="Most memories to show.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="SHARE", help="Least similarity, from 0 to 1; 0 shows the best --limit."),
    ] = None,
    type: opt.Types = None,
    decision: opt.Decision = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            metavar="",
            help="Show scores, the cut-off, what stayed below it, the time taken, and whether the cache answered.",
        ),
    ] = False,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Finds the memories most relevant to a query, best first."""
    scope = Scope(user, project)

    async def work(memory: MemoryPlugin) -> Recollection:
        if decision is not None and decision not in memory.decisions:  # a request takes the globals; a person mistyped
            known = ", ".join(memory.decisions) or "none"
            raise InvalidRequest(f"the configuration has no decision {decision!r}", hint=f"it has: {known}")
        return await memory.recollect(
            scope, query, limit=limit, threshold=threshold, types=type or (), decision=decision
        )

    found = with_memory(config, work)
    if as_json:
        emit_json(describe(found) if explain else {"hits": describe(found.hits)})
    else:
        console().print(explained(found) if explain else views.found(found))


def get(
    id: opt.MemoryId,
    user: opt.User,
    project: opt.Project = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Shows one memory with everything known about it."""
    scope = Scope(user, project)
    record = with_memory(config, lambda memory: memory.get(scope, id))
    if record is None:
        raise _missing(id)
    if as_json:
        emit_json(describe(record))
    else:
        console().print(views.details(record))


def list_(
    user: opt.User,
    project: opt.Project = None,
    type: opt.Types = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Memories on a page.")] = 20,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Where the page before this one ended.")
    ] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Lists memories, newest first, a page at a time."""
    scope = Scope(user, project)
    page = with_memory(config, lambda memory: memory.list(scope, types=type or (), limit=limit, cursor=cursor))
    if as_json:
        emit_json(describe(page))
    else:
        console().print(views.page(page))
        if page.cursor:  # not wrapped, so that it can be copied
            console().print(f"next page: --cursor {one_line(page.cursor)}", soft_wrap=True)


def update(
    id: opt.MemoryId,
    user: opt.User,
    project: opt.Project = None,
    content: Annotated[
        str | None, typer.Option("--content", metavar="TEXT", help="The new text; - reads standard input.")
    ] = None,
    type: opt.ChangedType = None,
    importance: Annotated[
        float | None, typer.Option("--importance", metavar="SHARE", help="The new importance, from 0 to 1.")
    ] = None,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Changes a memory. A new text is embedded anew; id, owner and creation time stay."""
    scope = Scope(user, project)
    text = None if content is None else _content(content)

    async def work(memory: MemoryPlugin) -> MemoryRecord | None:
        changed = await memory.update(scope, id, content=text, type=type, importance=importance)
        await clear_cached(memory, scope)
        return changed

    record = with_memory(config, work)
    if record is None:
        raise _missing(id)
    if as_json:
        emit_json(describe(record))
    else:
        console().print(views.details(record))


def _content(argument: str) -> str:
    """The text of an argument, or of standard input for ``-``.

    Raises:
        InvalidRequest: It is not UTF-8.
    """
    try:
        if argument == _STDIN:
            return sys.stdin.buffer.read().decode("utf-8")
        argument.encode("utf-8")
    except UnicodeError:
        source = "standard input" if argument == _STDIN else "the text"
        raise InvalidRequest(f"{source} is not UTF-8", field="content") from None
    return argument


def _missing(id: str) -> RouterMemoryError:
    return RouterMemoryError(f"this user has no memory {id}", hint="router-memory list shows the ids there are")
