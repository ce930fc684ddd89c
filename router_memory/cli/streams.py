"""Files and pipes of the commands that move much: written whole or not at all, read without holding up Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

from router_memory.cli.output import OutputClosed
from router_memory.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

__all__ = ["STANDARD", "input_stream", "output_stream", "pieces"]

STANDARD = "-"
"""Stands for standard input or output."""

_PIECE_BYTES = 256 * 1024


@contextmanager
def output_stream(name: str) -> Iterator[IO[bytes]]:
    """What to write to: standard output, or a file that is there, for its owner alone, once all is written.

    A file of that name is replaced then; until then, and when anything goes wrong, it stays as it was.

    Raises:
        OSError: It cannot be written.
        OutputClosed: Nobody reads it any more.
    """
    try:
        with _opened(name) as file:
            yield file
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:  # which names another file, or none
        where = "standard output" if name == STANDARD else name
        raise OSError(error.errno, error.strerror or str(error), where) from error


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    if name == STANDARD:
        return _standard_output()
    path = Path(name)
    return _special(path) if path.exists() and not path.is_file() else _replacing(path.resolve())


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _special(path: Path) -> Iterator[IO[bytes]]:
    """A pipe or a device, which must not be replaced."""
    with path.open("wb") as file:
        yield file


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:  # made with mode 0600
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(file.name).unlink()
            raise


@contextmanager
def input_stream(name: str) -> Iterator[IO[bytes]]:
    """What to read from: standard input or a file.

    Raises:
        InvalidRequest: It cannot be opened.
    """
    if name == STANDARD:
        if sys.stdin is None:
            raise InvalidRequest("standard input is closed", field="file")
        yield sys.stdin.buffer
        return
    try:
        file = Path(name).open("rb", buffering=0)  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidRequest(f"{name}: cannot be read: {reason}", field="file") from None
    with file:
        yield file


async def pieces(stream: IO[bytes]) -> AsyncIterator[bytes]:
    """What a stream holds, as it comes; waiting for more lets others run, and can be cancelled."""
    try:
        descriptor = stream.fileno()
    except OSError:  # it is in memory
        while piece := stream.read(_PIECE_BYTES):
            yield piece
        return
    await _until_readable(descriptor)
    while piece := os.read(descriptor, _PIECE_BYTES):
        yield piece
        await _until_readable(descriptor)


async def _until_readable(descriptor: int) -> None:
    """Waits where reading would block, so that an interruption ends the wait."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except (PermissionError, NotImplementedError):  # a file never blocks for long; Windows watches none
        await asyncio.sleep(0)
        return
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)
