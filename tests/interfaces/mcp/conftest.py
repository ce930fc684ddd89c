"""A service over the embedded store, reached by the SDK's client through a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin, Scope
from router_memory.config import Config, load_config
from router_memory.interfaces.http.app import create_app
from router_memory.interfaces.mcp import mcp_app
from router_memory.interfaces.mcp.handlers import handlers_of
from router_memory.interfaces.mcp.session import Session
from router_memory.service import Service
from router_memory.serving.listening import bind, urls
from router_memory.serving.mcp_only import mcp_only_app
from router_memory.serving.server import Server
from router_memory.telemetry import Telemetry
from router_memory.types import Outcome
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.interfaces.mcp.clients import HANDSHAKE, Agent, over_http
from tests.unit.conftest import DECISIONS

MANY = 1000
"""More requests of one user at a time than any test makes."""


class Counted(Telemetry):
    """Telemetry that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[str, str, int | None]] = []
        self.requests: list[tuple[str, str]] = []

    def operation(self, operation: str, seconds: float, *, status: str, results: int | None = None) -> None:
        """See `Telemetry.operation`."""
        self.operations.append((operation, status, results))

    def request(self, outcome: Outcome, *, interface: str) -> None:
        """See `Telemetry.request`."""
        self.requests.append((interface, outcome.reason.value))


@dataclass(slots=True)
class Running:
    """A server under test.

    Attributes:
        service: What it serves.
        base: Its URL, without a path.
        embedder: The double all its generations embed with.
        telemetry: What was reported.
        folder: Where the data are.
    """

    service: Service
    base: str
    embedder: HashingEmbedder
    telemetry: Counted
    folder: Path
    following: list[Config] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of MCP."""
        return f"{self.base}/mcp"

    @property
    def memory(self) -> MemoryPlugin:
        """What is served now."""
        return self.service.generation.memory

    def agent(
        self, user: str = "ada", *, protocol: str = HANDSHAKE, **headers: str
    ) -> AbstractAsyncContextManager[Agent]:
        """A client of a user; further headers by name with ``_`` for ``-``."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return over_http(self.url, {"x-authz-user-id": user, **more}, protocol=protocol)


Serve = Callable[..., AbstractAsyncContextManager[Running]]


def configuration(folder: Path, service: dict[str, Any] | None = None, **memory: Any) -> Config:
    """A configuration with the decisions of the unit tests."""
    section = {
        "enabled": True,
        "auto_store": True,
        "hybrid_search": True,
        "default_similarity_threshold": 0.5,
        "deadline_ms": 5000,
        "embedded": {"path": str(folder / "memory.db")},
        "service": {"limits": {"per_user_concurrency": MANY}, **(service or {})},
    }
    source = {"global": {"stores": {"memory": section | memory}}, "routing": {"decisions": DECISIONS}}
    return load_config(source)


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Runs a server. ``service`` is the section of that name; further keywords go into the memory section."""

    @asynccontextmanager
    async def run(
        *, alone: bool = False, opened: bool = True, service: dict[str, Any] | None = None, **memory: Any
    ) -> AsyncIterator[Running]:
        embedder, telemetry = HashingEmbedder(), Counted()
        following: list[Config] = []
        running = Service(
            configuration(tmp_path, service, **memory),
            telemetry=telemetry,
            load=following.pop,
            open_memory=lambda config: MemoryPlugin(Assembly(config, lambda: embedder)),
        )
        if opened:
            await running.open()
        server = Server(mcp_only_app(running) if alone else create_app(running, mounts={"/mcp": mcp_app(running)}))
        sockets = bind("127.0.0.1", 0)
        serving = asyncio.create_task(server.serve(sockets=sockets))
        await server.accepting.wait()
        try:
            yield Running(running, urls(sockets)[0], embedder, telemetry, tmp_path, following)
        finally:
            embedder.gate.set()
            server.stop(5)
            await serving
            await running.close(5)
            await telemetry.close()

    return run


@pytest.fixture
async def running(serve: Serve) -> AsyncIterator[Running]:
    """A server with the defaults of these tests."""
    async with serve() as found:
        yield found


@pytest.fixture
async def ada(running: Running) -> AsyncIterator[Agent]:
    """A client of the user ada. It lives in one task, as the SDK's must, which a fixture does not."""
    loop = asyncio.get_running_loop()
    connected: asyncio.Future[Agent] = loop.create_future()
    done = asyncio.Event()

    async def hold() -> None:
        async with running.agent("ada") as agent:
            connected.set_result(agent)
            await done.wait()

    holding = asyncio.create_task(hold())
    holding.add_done_callback(lambda _: connected.done() or connected.cancel())
    yield await connected
    done.set()
    await holding


@pytest.fixture
async def direct(tmp_path: Path) -> AsyncIterator[Agent]:
    """The tools of the user ada without a connection."""
    async with MemoryPlugin(Assembly(configuration(tmp_path), HashingEmbedder)) as memory:

        async def give() -> MemoryPlugin:
            return memory

        yield Agent.direct(handlers_of(Session(scope=Scope("ada"), memory=give)))
