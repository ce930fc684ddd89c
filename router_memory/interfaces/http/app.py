"""Puts the HTTP application together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router_memory import __version__
from router_memory.interfaces.http import errors, limits, memory, operations, plugin, proxy, reference, ui
from router_memory.service import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["create_app"]


def create_app(service: Service, *, mounts: Mapping[str, ASGIApp] | None = None) -> ASGIApp:
    """The application of a service that its caller opens and closes.

    Args:
        service: What it serves; open it before the first request.
        mounts: Other applications by the path they are reached at, such as ``/mcp``; the same limits hold for them.
    """
    app = FastAPI(
        title="router-memory",
        version=__version__,
        description="Memory for LLM routers and gateways.",
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    errors.install(app)
    for room in (proxy, memory, plugin, operations, reference):
        app.include_router(room.router)
    if service.config.memory.service.ui:
        app.include_router(ui.router)
        app.router.routes.append(Route("/", endpoint=_to_the_dashboard, methods=["GET"]))
    for path, mounted in (mounts or {}).items():
        app.router.routes.append(Route(path, endpoint=mounted))  # a mount would answer this very path with a redirect
    return limits.limited(app, service)


async def _to_the_dashboard(_request: Request) -> Response:
    """Where somebody wants to be who opens the address in a browser; relative, for a gateway may add a prefix."""
    return Response(status_code=307, headers={"location": "ui/"})
