"""The MCP server alone over HTTP, in one process: for agents, where nobody needs the rest of the service."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from router_memory.interfaces.http import errors, limits
from router_memory.interfaces.mcp import mcp_app
from router_memory.service import Service
from router_memory.serving.listening import bind, urls
from router_memory.serving.server import Server
from router_memory.telemetry import Telemetry

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from router_memory.config import Config

__all__ = ["mcp_only_app", "serve_mcp"]


def mcp_only_app(service: Service) -> ASGIApp:
    """`/mcp` and `/livez`, with the same identity, errors and limits as the whole service."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.service = service
    errors.install(app)
    app.router.routes += [Route("/mcp", endpoint=mcp_app(service)), Route("/livez", endpoint=_alive)]
    return limits.limited(app, service)


async def serve_mcp(config: Config, *, announce: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT, then lets end what is on its way, for at most ``drain_seconds``.

    Args:
        config: What is served, and where.
        announce: Is told each URL once it is listened on.

    Raises:
        CannotListen: The address cannot be listened on.
        ConfigError, EmbeddingError, BackendError: The memory cannot be opened.
    """
    settings = config.memory.service
    telemetry = Telemetry(log_format=settings.telemetry.log_format, tracing=settings.telemetry.tracing)
    service = Service(config, telemetry=telemetry)
    server = Server(mcp_only_app(service))
    sockets = bind(settings.host, settings.port)
    for url in urls(sockets):
        announce(f"{url}/mcp")
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, server.stop, settings.drain_seconds)
    opening = asyncio.create_task(_open(service, server), name="router-memory-open")
    try:
        await server.serve(sockets=sockets)
    finally:
        opening.cancel()
        await asyncio.wait([opening])
        await service.close(settings.drain_seconds)
        await telemetry.close()
    if not opening.cancelled():
        opening.result()


async def _open(service: Service, server: Server) -> None:
    """Opens the memory beside a server that answers already; one that cannot be opened ends it."""
    try:
        await service.open()
    except BaseException:
        server.stop(0)
        raise


async def _alive(_: Request) -> PlainTextResponse:
    return PlainTextResponse("alive")
