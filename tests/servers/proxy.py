"""A TCP proxy that can be told to misbehave."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from tests.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["Proxy"]

Mode: TypeAlias = Literal["forward", "swallow"]
_T = TypeVar("_T")

_CHUNK = 64 * 1024
_SECONDS = 30.0  # a thread of its own on a busy machine


class Proxy:
    """Forwards a loopback port to another, on a thread of its own.

    Connections that were open, or made, while it swallowed stay dumb for ever, as behind a firewall that has forgotten
    them: neither data nor a FIN comes through again.

    Args:
        target: The port of the server.
        port: The port to listen on; a free one by default.
    """

    def __init__(self, target: int, *, port: int | None = None) -> None:
        self.target = target
        self.port = free_port() if port is None else port
        self.sent = 0
        self.received = 0
        self.connections = 0
        self._mode: Mode = "forward"
        self._listener: asyncio.Server | None = None
        self._open: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> Proxy:
        """Starts to listen."""
        self._thread.start()
        self._run(self._listen())
        return self

    def close(self) -> None:
        """Closes everything."""
        if not self._thread.is_alive():
            return
        self._run(self._refuse())
        self._run(self._cut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_SECONDS)
        self._loop.close()

    def forward(self) -> None:
        """Listens and forwards again."""
        self._mode = "forward"
        self._run(self._listen())

    def swallow(self) -> None:
        """Accepts connections and data and passes nothing on."""
        self._mode = "swallow"
        self._run(self._deafen())

    def refuse(self) -> None:
        """Closes the listening socket; open connections stay."""
        self._run(self._refuse())

    def cut(self) -> None:
        """Closes every open connection at both ends."""
        self._run(self._cut())

    # -- on its thread

    def _run(self, work: Coroutine[None, None, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _deafen(self) -> None:
        for pair in self._open:
            pair.deaf = True

    async def _cut(self) -> None:
        for pair in self._open:
            pair.close()
        self._open.clear()
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        pair = _Pair(writer, deaf=self._mode == "swallow")
        self._open.add(pair)
        try:
            if not pair.deaf:
                upstream, pair.upstream = await asyncio.open_connection("127.0.0.1", self.target)
                await asyncio.gather(self._up(pair, reader, pair.upstream), self._down(pair, upstream, writer))
            else:
                while await reader.read(_CHUNK):
                    pass
        except OSError:
            pass
        finally:
            if not pair.deaf:
                pair.close()
                self._open.discard(pair)

    async def _up(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if not pair.deaf:
                self.sent += len(data)
                writer.write(data)
                await writer.drain()
        if not pair.deaf:
            writer.close()

    async def _down(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if not pair.deaf:
                self.received += len(data)
                writer.write(data)
                await writer.drain()
        if not pair.deaf:
            writer.close()


class _Pair:
    """Both ends of a connection; a deaf one passes nothing on."""

    def __init__(self, client: asyncio.StreamWriter, *, deaf: bool) -> None:
        self.client = client
        self.upstream: asyncio.StreamWriter | None = None
        self.deaf = deaf

    def close(self) -> None:
        self.client.close()
        if self.upstream is not None:
            self.upstream.close()
