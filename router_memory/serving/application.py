"""Everything one worker serves, put together: HTTP and, where it is wanted, MCP below ``/mcp``."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING

from router_memory.interfaces.http.app import create_app
from router_memory.interfaces.http.operations import register

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from router_memory.service import Service

__all__ = ["MCP_PATH", "application"]

MCP_PATH = "/mcp"

_log = logging.getLogger("router_memory.serving")


def application(service: Service, *, worker: int) -> ASGIApp:
    """The application of an open service.

    Args:
        service: What it serves.
        worker: Place of this process among the workers.
    """
    register(service, worker=worker)
    mounts: dict[str, ASGIApp] = {}
    if service.config.memory.service.mcp:
        if importlib.util.find_spec("mcp") is None:
            _log.warning("%s is not served: pip install 'router-memory[mcp]', or set service.mcp: false", MCP_PATH)
        else:
            from router_memory.interfaces.mcp import mcp_app

            mounts[MCP_PATH] = mcp_app(service)
    return create_app(service, mounts=mounts)
