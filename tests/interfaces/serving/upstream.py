"""The demonstration's upstream, on a thread of the test's process."""

from __future__ import annotations

import asyncio
import threading

from router_memory.demo.upstream import echo_app
from router_memory.serving.listening import bind
from router_memory.serving.server import Server

__all__ = ["Upstream"]


class Upstream:
    """An OpenAI-compatible server that says what it was sent.

    Args:
        delay: Seconds before each part of a streamed answer.
    """

    def __init__(self, *, delay: float = 0.0) -> None:
        (self._listener,) = bind("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._delay = delay
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def start(self) -> Upstream:
        """Starts to listen."""
        self._thread.start()
        self._ready.wait()
        return self

    def close(self) -> None:
        """Ends it, with whatever is under way."""
        self._server.stop(0.0)
        self._thread.join()

    async def _serve(self) -> None:
        self._server = Server(echo_app(delay=self._delay))
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        await self._server.accepting.wait()
        self._ready.set()
        await serving
