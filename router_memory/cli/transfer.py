"""`export` and `import`: memories as lines of text, out of a store and into one."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from router_memory.cli import options as opt
from router_memory.cli.output import console, emit_json, note, one_line
from router_memory.cli.session import with_memory
from router_memory.cli.streams import STANDARD, input_stream, output_stream, pieces
from router_memory.errors import InvalidRequest, RouterMemoryError
from router_memory.ndjson import MAX_LINE_BYTES, MOST_LISTED, Line, Tally, lines
from router_memory.types import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from router_memory.memory import MemoryPlugin
    from router_memory.types import MemoryRecord

__all__ = ["export", "import_"]

_WRITTEN_AT_ONCE = 64 * 1024
_MOST_SHOWN = 20


def export(
    user: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="USER", help="Whose memories. Compared exactly. May be repeated."),
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", metavar="", help="The memories of all users.")] = False,
    project: opt.Project = None,
    output: Annotated[
        str, typer.Option("--output", metavar="FILE", help="Where to; without it and for -, standard output.")
    ] = STANDARD,
    config: opt.Config = None,
) -> None:
    """Writes memories as lines of JSON, which import reads: backups, and moves to another store or model.

    A file appears when it is whole, readable by its owner alone. The model is not needed.
    """
    scopes = _scopes(user or [], project, everyone=everyone)
    tally = _Exported()
    with _progress(wanted=output != STANDARD or not sys.stdout.isatty()) as show, output_stream(output) as stream:
        with_memory(config, lambda memory: _write(memory, scopes, stream, tally, show))
    if output != STANDARD:
        console().print(f"exported {_memories(tally.memories)} of {tally.users:,} {_plural('user', tally.users)}")


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What export wrote; - reads standard input.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Check the lines and the configuration; open no store.")
    ] = False,
    config: opt.Config = None,
    as_json: opt.Json = False,
) -> None:
    """Stores the memories that export wrote, with their ids, times and counts, embedded by the model configured here.

    Those that are there already stay as they are, so it can be repeated. Lines that are no memories are refused and
    named, the others stored; the exit code is 1 then.
    """
    tally = _Imported(dry_run=dry_run)
    with input_stream(file) as stream, _progress() as show:
        try:
            if dry_run:
                _check(config)
                asyncio.run(_read(stream, tally, show))
            else:
                with_memory(config, lambda memory: _store(memory, stream, tally, show))
        except BaseException:
            if tally.lines:
                note(f"stopped after {tally.summary()}; importing again is safe and stores nothing twice")
            raise
    if tally.unknown:
        names = ", ".join(f"{one_line(name)} ({count:,})" for name, count in tally.unknown.items())
        note(f"fields that mean nothing here were ignored: {names}")
    if as_json:
        emit_json(tally.described())
    else:
        console().print(tally.summary())
    if tally.refused:
        raise RouterMemoryError(
            f"{tally.refused:,} of {tally.lines:,} {_plural('line', tally.lines)} refused",
            hint="see above; the others are not affected",
        )


@dataclass(slots=True)
class _Exported:
    """What was written."""

    memories: int = 0
    users: int = 0


@dataclass(slots=True)
class _Imported(Tally):
    """The tally of a command, which names the first refused lines while it goes on."""

    dry_run: bool = False

    def refuse(self, number: int, reason: str) -> None:
        """See `Tally.refuse`."""
        Tally.refuse(self, number, reason)  # a slotted class is made twice, and super() means the first
        if self.refused <= _MOST_SHOWN:
            note(f"line {number:,}: {reason}")
        elif self.refused == _MOST_SHOWN + 1:
            note(f"further lines that are refused are not shown; --json lists the first {MOST_LISTED:,}")

    def summary(self) -> str:
        if self.dry_run:
            return f"{_memories(self.memories)} to import, {self.refused:,} refused; nothing was stored"
        return f"{_memories(self.stored)} stored, {self.merged:,} there already, {self.refused:,} refused"

    def described(self) -> dict[str, Any]:
        """See `Tally.described`."""
        return {"dry_run": self.dry_run, **Tally.described(self)}


def _scopes(users: Sequence[str], project: str | None, *, everyone: bool) -> list[Scope | None]:
    """What to export; ``None`` stands for all users."""
    hint = "see router-memory export --help"
    if everyone:
        if users or project is not None:
            raise InvalidRequest("--all excludes --user and --project", hint=hint)
        return [None]
    if not users:
        raise InvalidRequest("nothing to export: give --user or --all", hint=hint)
    return [Scope(user, project) for user in dict.fromkeys(users)]


async def _write(
    memory: MemoryPlugin,
    scopes: Sequence[Scope | None],
    stream: IO[bytes],
    tally: _Exported,
    show: Callable[[str], None],
) -> None:
    from router_memory.storage.portable import to_line

    waiting = bytearray()
    for scope in scopes:
        before, last = tally.memories, None
        async for record in memory.export(scope):
            tally.users += record.scope.user_id != last
            tally.memories, last = tally.memories + 1, record.scope.user_id
            waiting += to_line(record).encode() + b"\n"
            if len(waiting) >= _WRITTEN_AT_ONCE:
                _flush(stream, waiting)
                show(f"{_memories(tally.memories)} exported")
        if scope is not None and tally.memories == before:
            note(f"{one_line(scope.user_id)} has no memories{'' if scope.project is None else ' in this project'}")
    _flush(stream, waiting)


def _flush(stream: IO[bytes], waiting: bytearray) -> None:
    stream.write(waiting)
    stream.flush()
    waiting.clear()


async def _store(memory: MemoryPlugin, stream: IO[bytes], tally: _Imported, show: Callable[[str], None]) -> None:
    from router_memory.pipeline.transfer import batches

    async for batch in batches(_records(stream, tally)):
        tally.done(await memory.restore(batch))
        show(tally.summary())


async def _read(stream: IO[bytes], tally: _Imported, show: Callable[[str], None]) -> None:
    async for _ in _records(stream, tally):
        if tally.memories % MOST_LISTED == 0:
            show(tally.summary())


async def _records(stream: IO[bytes], tally: _Imported) -> AsyncIterator[MemoryRecord]:
    """The memories of the lines that hold one; the others are refused."""
    from router_memory.storage.portable import from_line

    async for line in lines(pieces(stream)):
        if line.text is not None and not line.text.strip():
            continue
        tally.lines += 1
        try:
            record, unknown = from_line(_text(line))
        except InvalidRequest as error:
            tally.refuse(line.number, str(error) if line.whole else f"{error}; the input ends within the line")
            continue
        tally.take(unknown)
        yield record


def _text(line: Line) -> bytes:
    if line.text is None:
        raise InvalidRequest(f"is longer than {MAX_LINE_BYTES:,} bytes")
    return line.text


def _check(config: Any) -> None:
    from router_memory.config import load_config

    load_config(config)


@contextmanager
def _progress(*, wanted: bool = True) -> Iterator[Callable[[str], None]]:
    """Shows on standard error how far it is, where that is a terminal."""
    if not wanted or not sys.stderr.isatty():
        yield lambda _: None
        return
    with console(sys.stderr).status("opening") as status:
        yield status.update


def _memories(count: int) -> str:
    return f"{count:,} {'memory' if count == 1 else 'memories'}"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
