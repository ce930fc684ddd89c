"""Memory of one user, for a client that starts this process and talks to its standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from router_memory.interfaces.mcp.handlers import handlers_of
from router_memory.interfaces.mcp.opening import Opening
from router_memory.interfaces.mcp.sdk import Handlers, Output, answer_lines
from router_memory.interfaces.mcp.session import Session
from router_memory.interfaces.mcp.wire import Wire

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin
    from router_memory.types import Scope

__all__ = ["serve_stdio"]


async def serve_stdio(scope: Scope, make: Callable[[], MemoryPlugin], wire: Wire) -> None:
    """Serves until the client hangs up or the process is told to end (SIGTERM), then closes the memory.

    Args:
        scope: Whose memories every call is about.
        make: Gives the memory, not entered yet.
        wire: Where the client is.
    """
    opening = Opening(make)
    opening.begin()
    handlers = handlers_of(Session(scope=scope, memory=opening.memory, local=True))
    serving = asyncio.create_task(_converse(handlers, wire), name="router-memory-mcp")
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        serving.cancel()

    with contextlib.suppress(NotImplementedError, RuntimeError):  # no such thing here, or not in the main thread
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    try:
        await serving
    except asyncio.CancelledError:
        if not ended:
            raise
    finally:
        await opening.close()


async def _converse(handlers: Handlers, wire: Wire) -> None:
    try:
        await answer_lines(handlers, wire.lines(), Output(wire.write))
    except* BrokenPipeError:
        pass  # the client went away without waiting for its answer
