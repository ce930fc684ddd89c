"""Standard input and output as the protocol's own: nothing else reads from one or writes to the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

__all__ = ["Wire", "standard_wire"]

_CHUNK = 1 << 16
_AHEAD = 64
"""Lines read before their turn, at most."""


class Wire:
    """Lines in and text out over two descriptors.

    A thread of its own reads, because a file or a terminal cannot be waited for otherwise; nobody waits for that
    thread at the end, so Ctrl-C need not be followed by Return.

    Args:
        source, sink: Open descriptors.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink

    async def lines(self) -> AsyncIterator[str]:
        """The lines until the input ends, with what is no UTF-8 replaced."""
        loop, room = asyncio.get_running_loop(), threading.Semaphore(_AHEAD)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()

        def read() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                for line in self._raw():
                    room.acquire()
                    loop.call_soon_threadsafe(queue.put_nowait, line)
                loop.call_soon_threadsafe(queue.put_nowait, None)

        threading.Thread(target=read, name="router-memory-stdin", daemon=True).start()
        while (line := await queue.get()) is not None:
            room.release()
            yield line.decode("utf-8", "replace")

    def write(self, text: str) -> None:
        """Writes all of it. It waits while the client does not read: then there is nothing better to do.

        Raises:
            BrokenPipeError: Nobody reads it any more.
        """
        rest = memoryview(text.encode())
        while rest:
            rest = rest[os.write(self._sink, rest) :]

    def _raw(self) -> Iterator[bytes]:
        begun = bytearray()
        while chunk := self._chunk():
            begun += chunk
            if b"\n" in chunk:
                *whole, begun = begun.split(b"\n")
                yield from map(bytes, whole)
        if begun:
            yield bytes(begun)

    def _chunk(self) -> bytes:
        """What is there, once there is something; nothing at the end, which an error is too."""
        try:
            return os.read(self._source, _CHUNK)
        except OSError:
            return b""


@contextmanager
def standard_wire() -> Iterator[Wire]:
    """Standard input and output, which lead elsewhere for everybody else: from nothing, and to standard error.

    A stray print of a library, or of a process it starts, would end the conversation otherwise.
    """
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        for descriptor in (source, sink):
            os.set_blocking(descriptor, True)  # whoever started this process may have shared them otherwise
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        yield Wire(source, sink)
    finally:
        os.dup2(source, 0)
        os.dup2(sink, 1)
        for descriptor in (nothing, sink):
            os.close(descriptor)
