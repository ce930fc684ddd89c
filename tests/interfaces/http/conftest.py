"""The whole HTTP application over the embedded store, with an embedder that needs no model.

    async def test_something(serving: Serving) -> None:
        async with serving(service={"auth": {"admin_key": "root"}}, deadline_ms=50) as served:
            reply = await served.client.get("/v1/memory", headers=as_user("ana"))

or, where the defaults do, ``async def test_something(served: Served)``. `served.memory` is the library's plugin behind
the application, `served.embedder` the double, and `served.app` the ASGI application.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp

from router_memory import MemoryPlugin
from router_memory.config import Config, load_config
from router_memory.interfaces.http.app import create_app
from router_memory.service import Service
from router_memory.telemetry import Telemetry
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.unit.conftest import DECISIONS

ADMIN_KEY = "the-admin-key-of-the-tests"
"""Of the default configuration of these tests."""


@dataclass(frozen=True, slots=True)
class Served:
    """An application under test.

    Attributes:
        service: What it serves.
        app: The ASGI application.
        client: Talks to it in process; an exception in the application is a 500 as it would be for a real client.
        embedder: The double all its generations embed with.
    """

    service: Service
    app: ASGIApp
    client: httpx.AsyncClient
    embedder: HashingEmbedder

    @property
    def memory(self) -> MemoryPlugin:
        """The library's plugin that is served now."""
        return self.service.generation.memory


Serving = Callable[..., AbstractAsyncContextManager[Served]]


def as_user(user: str, **headers: str) -> dict[str, str]:
    """Headers as a gateway sets them; further ones by name with ``_`` for ``-``."""
    return {"x-authz-user-id": user, **{name.replace("_", "-"): value for name, value in headers.items()}}


def as_admin(user: str | None = None) -> dict[str, str]:
    """Headers of an operator, who may name a user."""
    named = {} if user is None else {"x-authz-user-id": user}
    return {"authorization": f"Bearer {ADMIN_KEY}", **named}


def fastapi_of(app: ASGIApp) -> FastAPI:
    """The FastAPI application inside of what `create_app` gives."""
    while not isinstance(app, FastAPI):
        app = app.app  # type: ignore[attr-defined]  # what ASGI middleware calls the application behind it
    return app


def routes_of(app: ASGIApp) -> list[tuple[str, str]]:
    """Method and path of every route of the application, those of included routers and mounts among them."""
    return [
        (method, context.path or "")
        for context in iter_route_contexts(fastapi_of(app).routes)
        for method in sorted(getattr(context, "methods", None) or {"*"})
        if method != "HEAD"
    ]


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Opens an application. ``service`` is the section of that name; further keywords go into the memory section."""

    @asynccontextmanager
    async def open_(*, service: dict[str, Any] | None = None, **memory: Any) -> AsyncIterator[Served]:
        embedder = HashingEmbedder()
        config = _configuration(tmp_path, service or {}, memory)
        running = Service(
            config,
            telemetry=Telemetry(),
            open_memory=lambda wanted: MemoryPlugin(Assembly(wanted, lambda: embedder)),
        )
        await running.open()
        try:
            app = create_app(running)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                yield Served(running, app, client, embedder)
        finally:
            embedder.gate.set()
            await running.close(5)
            await running.telemetry.close()

    return open_


@pytest.fixture
async def served(serving: Serving) -> AsyncIterator[Served]:
    """An application with the defaults of these tests: users by header, one admin key."""
    async with serving() as running:
        yield running


def _configuration(folder: Path, service: dict[str, Any], memory: dict[str, Any]) -> Config:
    section: dict[str, Any] = {
        "enabled": True,
        "auto_store": True,
        "hybrid_search": True,
        "deadline_ms": 5000,
        "embedded": {"path": str(folder / "memory.db")},
        "service": {**service, "auth": {"modes": ["header"], "admin_key": ADMIN_KEY, **service.get("auth", {})}},
    }
    section.update(memory)
    return load_config({"global": {"stores": {"memory": section}}, "routing": {"decisions": DECISIONS}})
