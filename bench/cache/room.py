"""Where a part measures: a model, a cache server, places for memories, and plugins over them."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from bench.cache.embedder import Counting, Model
from bench.valkey import server as search_server
from router_memory import MemoryPlugin
from router_memory.config import load_config
from router_memory.wiring import Assembly
from tests.servers.find import NO_SEARCH, NO_SERVER, find
from tests.servers.process import Server

__all__ = [
    "NO_STORE_SERVER",
    "Opened",
    "Place",
    "Room",
    "has_store_server",
    "opened_room",
    "server_versions",
]

NO_STORE_SERVER = f"nothing on a Valkey store: {NO_SEARCH}"

_CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
_DEADLINE_MS = 10_000
"""None, in effect: a slow round must count and not be cut short."""
_SERVER_CONFIG = {"save": '""', "appendonly": "no"}
_ROUTES = {"wide_route": {"retrieval_limit": 20, "similarity_threshold": 0.5}, "dense_route": {"hybrid_search": False}}
"""Decisions beside those of the default configuration."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where memories are.

    Attributes:
        backend: ``embedded`` or ``valkey``.
        memory: The keys of the configuration that say so.
    """

    backend: str
    memory: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """A plugin that is open.

    Attributes:
        parts: What it consists of.
        embedder: What it embeds with.
    """

    plugin: MemoryPlugin
    parts: Assembly
    embedder: Counting


@dataclass(frozen=True, slots=True)
class Room:
    """What a part measures with.

    Attributes:
        model: Open.
        folder: For files; gone afterwards.
        cache: A server without modules and without persistence, for level 2 and bare GETs.
        store: A server with the Search module; ``None`` where there is none.
    """

    model: Model
    folder: Path
    cache: Server
    store: Server | None

    def places(self, name: str) -> list[Place]:
        """An empty place of that name on each backend there is."""
        path = str(self.folder / f"{name}.db")
        places = [Place("embedded", {"backend": "embedded", "embedded": {"path": path}})]
        if self.store is not None:
            valkey = {
                "host": self.store.host,
                "port": self.store.port,
                "collection_prefix": f"{name}:",
                "index_name": f"{name}_idx",
            }
            places.append(Place("valkey", {"backend": "valkey", "valkey": valkey}))
        return places

    def shared(self, prefix: str, **keys: Any) -> dict[str, Any]:
        """A `redis_cache` section with both levels.

        Args:
            prefix: Of the keys on the server.
            keys: Further ones of the section.
        """
        return {"enabled": True, "address": f"{self.cache.host}:{self.cache.port}", "key_prefix": prefix, **keys}

    @asynccontextmanager
    async def plugin(self, place: Place, cache: Mapping[str, Any] | None = None) -> AsyncIterator[Opened]:
        """A plugin on a place.

        Args:
            cache: Its section `redis_cache`; ``None`` for no cache.
        """
        document: dict[str, Any] = yaml.safe_load(_CONFIG.read_text(encoding="utf-8"))
        memory = document["global"]["stores"]["memory"]
        memory |= {"deadline_ms": _DEADLINE_MS, **place.memory}
        if cache is not None:
            memory["redis_cache"] = dict(cache)
        document["routing"]["decisions"] += [
            {"name": name, "plugins": [{"type": "memory", "configuration": values}]} for name, values in _ROUTES.items()
        ]
        embedder = Counting(self.model)
        parts = Assembly(load_config(document), lambda: embedder)
        async with MemoryPlugin(parts) as plugin:
            yield Opened(plugin, parts, embedder)


@asynccontextmanager
async def opened_room() -> AsyncIterator[Room]:
    """Starts the servers and loads the model. All of it ends with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cache-bench-")))
        cache = stack.enter_context(_plain_server(folder / "cache"))
        store = stack.enter_context(search_server.own_server()) if has_store_server() else None
        async with Model() as model:
            yield Room(model, folder, cache, store)


def has_store_server() -> bool:
    """Whether a server with the Search module can be started here."""
    found = find()
    return bool(found.command) and found.module is not None


def server_versions() -> dict[str, str]:
    """Of the servers and the client."""
    if has_store_server():
        with search_server.own_server() as server:
            return search_server.server_versions(server)
    with tempfile.TemporaryDirectory(prefix="cache-bench-") as folder, _plain_server(Path(folder)) as server:
        return {
            "valkey": search_server.info(server, "server").get("valkey_version", ""),
            "valkey-glide": version("valkey-glide"),
        }


@contextmanager
def _plain_server(folder: Path) -> Iterator[Server]:
    """A server without modules.

    Raises:
        SystemExit: There is none here.
    """
    found = find()
    if not found.command:
        raise SystemExit(NO_SERVER)
    server = Server(found, folder, config=_SERVER_CONFIG)
    server.start()
    try:
        yield server
    finally:
        server.kill()
