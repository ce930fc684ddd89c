"""Which paths there are, as templates: what metrics and logs say in place of a path that may hold an id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["ROUTES", "route_template"]

ROUTES = frozenset(
    """
    /v1/chat/completions /v1/responses /v1/models
    /v1/memory /v1/memory/{id} /v1/memory/search /v1/memory/export /v1/memory/import /v1/memory:batch
    /v1/plugin/request /v1/plugin/response
    /v1/config/reload /v1/state /v1/events /v1/decisions
    / /livez /readyz /metrics /openapi.json /ui /ui/{path} /mcp
    """.split()
)
"""Templates that are labels from the start; `Telemetry.know_routes` adds those of an application."""

_CONVERTER = re.compile(r":\w+\}")
"""How a part of the path is read, as in ``{path:path}``."""


def route_template(scope: Mapping[str, Any]) -> str:
    """The template of the route that answered a request, from what ASGI knows of it; empty where none did.

    Of an application that is mounted in another one it is the path of the mount. A request that was refused before it
    came to its route, or came to one that FastAPI does not name, has the path itself where that is a template.
    """
    root = str(scope.get("root_path", ""))
    mounted = root.removeprefix(str(scope.get("app_root_path", root)))  # the server's own prefix is nobody's mount
    if mounted:
        return mounted
    template = getattr(scope.get("route"), "path", None)
    if isinstance(template, str):
        return _CONVERTER.sub("}", template)
    path = str(scope.get("path", ""))
    return path if path in ROUTES else ""
