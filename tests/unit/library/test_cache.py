"""The hot cache as a caller of the library sees it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin, Scope, SyncMemory
from router_memory.config import load_config
from router_memory.errors import BackendUnavailable, InvalidRequest
from router_memory.plugin.describe import describe
from router_memory.types import CacheLevel, CacheStats
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.servers.fixtures import OwnServer
from tests.unit.conftest import Opener

ANA, BEN = Scope("ana"), Scope("ben")


def shared(port: int, **more: Any) -> dict[str, Any]:
    return {"enabled": True, "address": f"127.0.0.1:{port}", "db": 1, "cache_timeout_ms": 5000, **more}


async def searched(memory: MemoryPlugin, scope: Scope) -> CacheLevel:
    return (await memory.recollect(scope, "which seats?", threshold=0.0)).cache


async def filled(memory: MemoryPlugin, entries: int) -> None:
    """Waits until the server has so many answers."""
    held = await memory.cache_server_stats()
    while held is None or held.entries < entries:
        await asyncio.sleep(0.01)
        held = await memory.cache_server_stats()


async def test_without_a_cache_everything_is_empty(opened: Opener) -> None:
    async with opened() as memory:
        await memory.add(ANA, "prefers aisle seats")
        assert await searched(memory, ANA) is CacheLevel.OFF
        assert memory.cache_stats() == CacheStats()
        assert await memory.cache_server_stats() is None
        assert await memory.clear_cache() == 0
        assert await memory.clear_cache(ANA) == 0


async def test_level_1_alone(opened: Opener) -> None:
    async with opened(redis_cache={"enabled": True}) as memory:
        for scope in (ANA, BEN):
            await memory.add(scope, "prefers aisle seats")
            assert [await searched(memory, scope) for _ in range(2)] == [CacheLevel.MISS, CacheLevel.LOCAL]
        stats = memory.cache_stats()
        assert (stats.coherence, stats.entries, stats.vectors, stats.breaker) == ("strict", 2, 1, "")
        assert stats.bytes > 0
        assert (stats.counts["level 1.hit"], stats.counts["miss"]) == (2, 2)
        assert stats.latencies["level 1"].count == 2
        assert describe(stats)["latencies"]["miss"]["count"] == 2
        assert memory.counters["cache.level 1.hit"] == 2
        assert await memory.cache_server_stats() is None
        assert await memory.clear_cache(ANA) == 1
        assert await searched(memory, BEN) is CacheLevel.LOCAL
        assert await searched(memory, ANA) is CacheLevel.MISS
        assert await memory.clear_cache() == 3
        assert memory.cache_stats().entries == 0


async def test_both_levels(opened: Opener, own_server: OwnServer) -> None:
    cache = shared(own_server().port)
    async with opened(redis_cache=cache) as memory:
        for scope in (ANA, BEN):
            await memory.add(scope, "prefers aisle seats")
            await searched(memory, scope)
        await filled(memory, 2)
        assert memory.cache_stats().breaker == "closed"
        assert await memory.clear_cache(ANA) == 1
        held = await memory.cache_server_stats()
        assert held is not None
        assert (held.users, held.entries, held.vectors) == (1, 1, 1)
    async with opened(redis_cache=cache) as memory:
        assert [await searched(memory, scope) for scope in (ANA, BEN)] == [CacheLevel.MISS, CacheLevel.SHARED]
        await filled(memory, 2)
        assert await memory.clear_cache() > 2
        held = await memory.cache_server_stats()
        assert held is not None
        assert (held.users, held.vectors, memory.cache_stats().entries) == (0, 0, 0)


async def test_a_server_that_is_away_fails_these_and_no_search(opened: Opener) -> None:
    with socket.socket() as taken:  # bound and not listening: whoever connects is refused
        taken.bind(("127.0.0.1", 0))
        async with opened(redis_cache=shared(taken.getsockname()[1])) as memory:
            await memory.add(ANA, "prefers aisle seats")
            assert await searched(memory, ANA) is CacheLevel.MISS
            with pytest.raises(BackendUnavailable, match="no connection"):
                await memory.cache_server_stats()
            for scope in (None, ANA):
                assert await searched(memory, ANA) in {CacheLevel.LOCAL, CacheLevel.MISS}
                with pytest.raises(BackendUnavailable, match="no connection"):
                    await memory.clear_cache(scope)
                assert memory.cache_stats().entries == 0


async def test_arguments_and_use_when_closed(opened: Opener) -> None:
    async with opened() as memory:
        with pytest.raises(InvalidRequest, match="scope"):
            await memory.clear_cache("ana")  # type: ignore[arg-type]
    with pytest.raises(BackendUnavailable, match="not open"):
        memory.cache_stats()
    with pytest.raises(BackendUnavailable, match="not open"):
        await memory.cache_server_stats()
    with pytest.raises(BackendUnavailable, match="not open"):
        await memory.clear_cache()


def test_the_synchronous_facade(tmp_path: Path, own_server: OwnServer) -> None:
    section = {
        "enabled": True,
        "embedded": {"path": str(tmp_path / "memory.db")},
        "redis_cache": shared(own_server().port),
    }
    config = load_config({"global": {"stores": {"memory": section}}})
    with SyncMemory(MemoryPlugin(Assembly(config, HashingEmbedder))) as memory:
        memory.add(ANA, "prefers aisle seats")
        assert memory.recollect(ANA, "which seats?", threshold=0.0).cache is CacheLevel.MISS
        assert memory.cache_stats().entries == 1
        held = memory.cache_server_stats()
        assert held is not None
        assert held.location.endswith("/1")
        assert memory.clear_cache(ANA) == 1
        assert memory.cache_stats().entries == 0
    with pytest.raises(BackendUnavailable, match=r"SyncMemory\.open"):
        memory.cache_stats()
