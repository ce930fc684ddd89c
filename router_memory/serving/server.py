"""uvicorn, told what to do by the parent in place of signals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from router_memory.serving.listening import BACKLOG
from router_memory.serving.protocol import LimitedHttp

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

__all__ = ["KEEP_ALIVE_SECONDS", "Server"]

KEEP_ALIVE_SECONDS = 75
"""How long an idle connection is kept; longer than gateways keep theirs, so that they close first."""


class Server(uvicorn.Server):
    """Accepts connections on sockets it is given until it is told to stop.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=LimitedHttp,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",  # that it starts and ends, the parent says
                access_log=False,
                proxy_headers=False,  # else a client could name the peer it comes from
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
            )
        )
        self.accepting = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals of the process alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server.startup`."""
        await super().startup(sockets)
        self.accepting.set()

    def stop(self, seconds: float) -> None:
        """Accepts no more, and ends when all requests have, or are cut off after so many seconds."""
        self.config.timeout_graceful_shutdown = seconds  # type: ignore[assignment]  # it only waits so long
        self.should_exit = True
