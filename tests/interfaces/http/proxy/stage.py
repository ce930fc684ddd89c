"""The proxy on a real server, with a memory that needs no model, in front of an upstream that does as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import uvicorn
from fastapi import FastAPI

from router_memory.config import load_config
from router_memory.interfaces.http import errors, proxy
from router_memory.memory import MemoryPlugin
from router_memory.service import Service
from router_memory.telemetry import Telemetry
from router_memory.types import Scope
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.interfaces.http.proxy.fake import FakeUpstream, fake_upstream

__all__ = ["USER", "Stage", "stage"]

USER = "u1"
DECISIONS = [
    {"name": "on", "plugins": [{"type": "memory", "configuration": {"similarity_threshold": 0.6}}]},
    {"name": "reads", "plugins": [{"type": "memory", "configuration": {"auto_store": False}}]},
    {"name": "off", "plugins": [{"type": "memory", "configuration": {"enabled": False}}]},
]


@dataclass(slots=True)
class Stage:
    """What a test works with."""

    service: Service
    upstream: FakeUpstream
    embedder: HashingEmbedder
    port: int
    http: httpx.AsyncClient

    @property
    def memory(self) -> MemoryPlugin:
        return self.service.generation.memory

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def openai(self, **headers: str) -> openai.AsyncOpenAI:
        """OpenAI's own client, for a user whose chats take the decision ``on``."""
        defaults = {"x-authz-user-id": USER, "x-vsr-selected-decision": "on", **headers}
        return openai.AsyncOpenAI(base_url=self.url, api_key="sk-client", default_headers=defaults, max_retries=0)

    async def chat(
        self, body: bytes, path: str = "/chat/completions", *, decision: str | None = "on", **headers: str
    ) -> httpx.Response:
        """Posts a body as it is."""
        sent = {"x-authz-user-id": USER, "content-type": "application/json", **headers}
        if decision is not None:
            sent["x-vsr-selected-decision"] = decision
        return await self.http.post(path, content=body, headers=sent)

    async def knows(self, *texts: str, user: str = USER) -> None:
        """Stores memories."""
        for text in texts:
            await self.memory.add(Scope(user), text)

    async def stored(self, user: str = USER) -> list[str]:
        """What memory holds of a user once all turns are stored, oldest first."""
        await self.memory.drain()
        page = await self.memory.list(Scope(user), limit=1000)
        return [record.content for record in reversed(page.records)]


@asynccontextmanager
async def stage(
    folder: Path, *, memory: Mapping[str, Any] | None = None, tls: ssl.SSLContext | None = None, **service: Any
) -> AsyncIterator[Stage]:
    """Opens everything.

    Args:
        folder: For the store.
        memory: Keys of the memory section.
        tls: What the upstream shows; it speaks plain HTTP without.
        service: Keys of its section `service`; those of `upstream` besides the URL.
    """
    embedder = HashingEmbedder()
    async with fake_upstream(tls) as upstream:
        section = {
            "enabled": True,
            "auto_store": True,
            "hybrid_search": True,
            "default_similarity_threshold": 0.6,
            "deadline_ms": 5000,
            "embedded": {"path": str(folder / "memory.db")},
            **(memory or {}),
            "service": {**service, "upstream": {"url": upstream.url, **service.get("upstream", {})}},
        }
        config = load_config({"global": {"stores": {"memory": section}}, "routing": {"decisions": DECISIONS}})
        opened = Service(
            config, telemetry=Telemetry(), open_memory=lambda used: MemoryPlugin(Assembly(used, lambda: embedder))
        )
        await opened.open()
        try:
            async with _served(opened) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1") as http:
                yield Stage(opened, upstream, embedder, port, http)
        finally:
            await opened.close(0.0)
            await opened.telemetry.close()


@asynccontextmanager
async def _served(service: Service) -> AsyncIterator[int]:
    app = FastAPI()
    app.state.service = service
    errors.install(app)
    app.include_router(proxy.router)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.force_exit = True
        await server.shutdown()
        await asyncio.gather(*server.server_state.tasks, return_exceptions=True)
