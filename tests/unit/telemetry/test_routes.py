"""Templates of paths: those the application has are labels, and no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from router_memory.interfaces.http import memory, operations, plugin, proxy, ui
from router_memory.telemetry import route_template
from router_memory.telemetry.routes import ROUTES


def paths_of(router: APIRouter) -> set[str]:
    """Of a router and of those it includes."""
    found: set[str] = set()
    for route in router.routes:
        path, inner = getattr(route, "path", None), getattr(route, "original_router", None)
        found |= paths_of(inner) if inner is not None else {str(path)}
    return found


@pytest.mark.parametrize("room", [memory, operations, plugin, proxy, ui], ids=lambda room: room.__name__)
def test_every_route_of_the_application_is_a_label(room: Any) -> None:
    templates = {path.replace(":path}", "}") for path in paths_of(room.router)}

    assert templates
    assert templates - ROUTES == set()


@pytest.mark.parametrize(
    ("scope", "template"),
    [
        ({"route": SimpleNamespace(path="/v1/memory/{id}"), "path": "/v1/memory/m1"}, "/v1/memory/{id}"),
        ({"route": SimpleNamespace(path="/ui/{path:path}"), "path": "/ui/app.js"}, "/ui/{path}"),
        ({"path": "/v1/nothing/here"}, ""),
        ({"path": "/v1/chat/completions"}, "/v1/chat/completions"),
        ({"root_path": "/mcp", "app_root_path": "", "route": SimpleNamespace(path="/")}, "/mcp"),
        ({"root_path": "/behind", "route": SimpleNamespace(path="/livez")}, "/livez"),
    ],
)
def test_a_template_is_what_the_route_says(scope: dict[str, Any], template: str) -> None:
    assert route_template(scope) == template


@pytest.mark.parametrize(
    ("path", "template"), [("/things/17", "/things/{id}"), ("/none/17", ""), ("/under/17", "/under")]
)
def test_starlette_says_so(path: str, template: str) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await Response("")(scope, receive, send)

    inner = Starlette(routes=[Route("/things/{id}", lambda _: Response("")), Mount("/under", answer)])
    seen: list[str] = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await inner(scope, receive, send)
        finally:
            seen.append(route_template(scope))

    TestClient(outer).get(path)

    assert seen == [template]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/livez"])
def test_fastapi_says_so_of_what_it_includes(path: str) -> None:
    """Of its own routes and of plain ASGI ones, which the proxy has."""
    plain, inner = APIRouter(), FastAPI()
    plain.routes.append(Route("/v1/chat/completions", lambda _: Response("")))
    plain.add_api_route("/livez", lambda: None)
    inner.include_router(plain)
    seen: list[str] = []

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)
        seen.append(route_template(scope))

    assert TestClient(outer).get(path).status_code == 200
    assert seen == [path]
