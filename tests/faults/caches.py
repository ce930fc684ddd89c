"""What the tests of the hot cache's faults share: plugins with a cache on a real server, and what that server holds."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from router_memory import MemoryPlugin, Scope
from router_memory.config import load_config
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.servers.resp import ServerSaid, ask_many

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from router_memory.wiring.caches import Caches
    from tests.servers.process import Endpoint
    from tests.servers.resp import Answer

__all__ = ["Opened", "asked", "caches_of", "contents", "fills_ended", "opened", "values", "with_text"]

DATABASE = 1
DEADLINE_MS = 1_000
"""Of requests: long, so that a busy machine fails none; what they may take is asserted where it is tested."""
Opened = tuple[MemoryPlugin, Assembly]
_DEFLATED = b"\x78\x01"


def config_of(store: Path | Endpoint, cache: Endpoint | None, **options: Any) -> dict[str, Any]:
    """A configuration: a store in a file or on a server, and its cache.

    Args:
        store: The file, or the server.
        cache: The server of level 2; ``None`` for no cache at all.
        options: Keys of the cache's section.
    """
    section: dict[str, Any] = {"enabled": True, "hybrid_search": True, "deadline_ms": DEADLINE_MS}
    section["default_similarity_threshold"] = 0.0
    section["reflection"] = {"algorithm": "noop"}
    if hasattr(store, "address"):
        host, port = store.address
        valkey = {"host": host, "port": port, "dimension": HashingEmbedder.dimension, "timeout": 5.0}
        section |= {"backend": "valkey", "valkey": valkey}
    else:
        section |= {"backend": "embedded", "embedded": {"path": str(store), "synchronous": "normal"}}
    if cache is not None:
        address = "{}:{}".format(*cache.address)
        section["redis_cache"] = {"enabled": True, "address": address, "db": DATABASE, "cache_timeout_ms": 50} | options
    return {"global": {"stores": {"memory": section}}}


@asynccontextmanager
async def opened(
    store: Path | Endpoint,
    cache: Endpoint | None,
    make_embedder: Callable[[], Any] = HashingEmbedder,
    **options: Any,
) -> AsyncIterator[Opened]:
    """An open plugin with its parts; see `config_of`."""
    parts = Assembly(load_config(config_of(store, cache, **options)), make_embedder)
    async with MemoryPlugin(parts) as plugin:
        yield plugin, parts


def caches_of(parts: Assembly) -> Caches:
    """The cache of an open assembly."""
    assert parts.caches is not None
    return parts.caches


async def fills_ended(parts: Assembly) -> None:
    """Waits until nothing is being written to the server in the background."""
    shared = caches_of(parts).shared
    while shared is not None and (tasks := tuple(shared._tasks)):
        await asyncio.wait(tasks)


async def contents(plugin: MemoryPlugin, user: str, text: str) -> set[str]:
    """What a search shows."""
    found = await plugin.recollect(Scope(user), text, limit=20, threshold=0.0, cutoff="fixed")
    return {hit.record.content for hit in found.hits}


# -- what the server holds


def asked(server: Endpoint, *commands: Sequence[str | bytes]) -> list[Answer]:
    """The replies to commands in the cache's database."""
    replies = ask_many(server.port, [("SELECT", str(DATABASE)), *commands], host=server.host)
    for reply in replies:
        if isinstance(reply, ServerSaid):
            raise reply
    return replies[1:]


def values(server: Endpoint) -> dict[tuple[bytes, bytes], bytes]:
    """Every value under its key and its field, which is empty for a string."""
    (keys,) = asked(server, ("KEYS", "*"))
    assert isinstance(keys, list)
    found: dict[tuple[bytes, bytes], bytes] = {}
    for key in keys:
        assert isinstance(key, bytes)
        (kind,) = asked(server, ("TYPE", key))
        if kind == b"string":
            (value,) = asked(server, ("GET", key))
            assert isinstance(value, bytes)
            found[key, b""] = value
        elif kind == b"hash":
            (flat,) = asked(server, ("HGETALL", key))
            assert isinstance(flat, list)
            pairs = zip(flat[::2], flat[1::2], strict=True)
            found |= {(key, bytes(field)): bytes(value) for field, value in pairs}  # type: ignore[arg-type]
    return found


def with_text(server: Endpoint, text: str) -> list[bytes]:
    """The keys of those values that hold a text, deflated or not."""
    wanted = text.encode()
    return [key for (key, _), value in values(server).items() if wanted in value or wanted in _inflated(value)]


def _inflated(value: bytes) -> bytes:
    at = value.find(_DEFLATED)
    while at >= 0:
        try:
            return zlib.decompress(value[at:])
        except zlib.error:
            at = value.find(_DEFLATED, at + 1)
    return b""
