"""A store or a cache that is restored from an older copy, or flushed: no answer from another time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from router_memory import Scope
from router_memory.types import CacheLevel
from tests.faults.caches import caches_of, contents, fills_ended, opened, with_text
from tests.faults.stores import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory import MemoryPlugin
    from router_memory.wiring import Assembly
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Endpoint, Server

ANA = Scope("ana")
OLD, KEPT, FUTURE, OTHER = (
    "My seat on the train is by the aisle",
    "My seat in the theatre is in row four",
    "My seat on the ferry is outside",
    "My seat in the office is by the door",
)
ASKS = ("Which seat is mine?", "Where do I sit on the train?")


async def _cached(plugin: MemoryPlugin, parts: Assembly, expected: set[str]) -> None:
    """Asks everything twice, so that it is in the cache."""
    for _ in range(2):
        for text in ASKS:
            assert await contents(plugin, "ana", text) == expected
        await fills_ended(parts)


async def _a_past(plugin: MemoryPlugin, parts: Assembly) -> None:
    await plugin.add(ANA, OLD)
    await plugin.add(ANA, KEPT)
    await _cached(plugin, parts, {OLD, KEPT})


async def _a_future(plugin: MemoryPlugin, parts: Assembly) -> None:
    (record,) = [record for record in (await plugin.list(ANA)).records if record.content == OLD]
    await plugin.forget(ANA, record.id)
    await plugin.add(ANA, FUTURE)
    await _cached(plugin, parts, {KEPT, FUTURE})


async def _the_past_again(plugin: MemoryPlugin, parts: Assembly) -> None:
    """What the copy held is shown, also from the cache, and what is written then."""
    await _cached(plugin, parts, {OLD, KEPT})
    await plugin.add(ANA, OTHER)
    await _cached(plugin, parts, {OLD, KEPT, OTHER})


async def _second_process(store: Path | Endpoint, cache: Endpoint, expected: set[str]) -> None:
    """One that has nothing of its own finds the same, on the server too."""
    async with opened(store, cache, cache_timeout_ms=1000, local_mb=0) as (plugin, parts):
        await _cached(plugin, parts, expected)
        assert (await plugin.recollect(ANA, ASKS[0])).cache is CacheLevel.SHARED


@pytest.mark.parametrize("coherence", ["strict", "bounded"])
async def test_a_file_that_is_put_back_meets_nothing_from_its_future(
    own_server: OwnServer, tmp_path: Path, coherence: str
) -> None:
    cache, path, copy = own_server(), tmp_path / "store" / "a.db", tmp_path / "copy"
    async with opened(path, cache, cache_timeout_ms=1000, coherence=coherence) as (plugin, parts):
        await _a_past(plugin, parts)
    shutil.copytree(path.parent, copy)
    async with opened(path, cache, cache_timeout_ms=1000, coherence=coherence) as (plugin, parts):
        await _a_future(plugin, parts)
        assert with_text(cache, FUTURE)
    shutil.rmtree(path.parent)
    shutil.copytree(copy, path.parent)
    async with opened(path, cache, cache_timeout_ms=1000, coherence=coherence) as (plugin, parts):
        await _the_past_again(plugin, parts)
    await _second_process(path, cache, {OLD, KEPT, OTHER})


async def test_a_file_that_is_gone_meets_nothing_from_its_past(own_server: OwnServer, tmp_path: Path) -> None:
    cache, path = own_server(), tmp_path / "store" / "a.db"
    async with opened(path, cache, cache_timeout_ms=1000) as (plugin, parts):
        await _a_past(plugin, parts)
        assert with_text(cache, OLD)
    shutil.rmtree(path.parent)
    async with opened(path, cache, cache_timeout_ms=1000) as (plugin, parts):
        await _cached(plugin, parts, set())
        await plugin.add(ANA, OTHER)
        await _cached(plugin, parts, {OTHER})


async def test_a_server_that_is_restored_meets_nothing_from_its_future(own_server: OwnServer, tmp_path: Path) -> None:
    """The process stays open all the while, so its own level is older than the store as well."""
    cache, store = own_server(), own_server(search=True)
    async with opened(store, cache, cache_timeout_ms=1000) as (plugin, parts):
        await _a_past(plugin, parts)
        store.ask("SAVE")
        shutil.copy(store.folder / "dump.rdb", tmp_path / "copy.rdb")
        await _a_future(plugin, parts)
        assert with_text(cache, FUTURE)
        store.stop()
        shutil.copy(tmp_path / "copy.rdb", store.folder / "dump.rdb")
        store.start()
        await eventually(lambda: _shows(plugin, {OLD, KEPT}))
        await _cached(plugin, parts, {OLD, KEPT})
        await plugin.forget(ANA, *[record.id for record in (await plugin.list(ANA)).records if record.content == OLD])
        await _cached(plugin, parts, {KEPT})
    await _second_process(store, cache, {KEPT})


async def _shows(plugin: MemoryPlugin, expected: set[str]) -> bool:
    """Whether a search shows that. It must never show what is not there."""
    found = await contents(plugin, "ana", ASKS[0])
    assert FUTURE not in found
    return found == expected


async def test_a_flushed_store_leaves_nothing_to_the_cache(own_server: OwnServer) -> None:
    cache, store = own_server(), own_server(search=True)
    async with opened(store, cache, cache_timeout_ms=1000) as (plugin, parts):
        await _a_past(plugin, parts)
        await _a_future(plugin, parts)
        assert with_text(cache, FUTURE)
        store.ask("FLUSHALL")
        await _cached(plugin, parts, set())
        await plugin.add(ANA, OTHER)
        await _cached(plugin, parts, {OTHER})
    await _second_process(store, cache, {OTHER})


async def test_a_flushed_cache_is_filled_again(own_server: OwnServer, tmp_path: Path) -> None:
    cache = own_server()
    async with opened(tmp_path / "a.db", cache, cache_timeout_ms=1000, local_mb=0) as (plugin, parts):
        await _a_past(plugin, parts)
        before = caches_of(parts).stats().counts["level 2.hit"]
        cache.ask("FLUSHALL")
        await _a_future(plugin, parts)
        assert caches_of(parts).stats().counts["level 2.hit"] >= before + len(ASKS)


async def test_a_cache_that_is_restored_brings_nothing_back(own_server: OwnServer, tmp_path: Path) -> None:
    cache = own_server()
    async with opened(tmp_path / "a.db", cache, cache_timeout_ms=1000, local_mb=0) as (plugin, parts):
        await _a_past(plugin, parts)
        cache.ask("SAVE")
        await _a_future(plugin, parts)
        _loaded_again(cache)
        assert with_text(cache, OLD)
        for _ in range(3):  # the first ones may find no connection
            await _cached(plugin, parts, {KEPT, FUTURE})
        await eventually(lambda: _refilled(plugin, cache))


def _loaded_again(cache: Server) -> None:
    cache.kill()
    cache.start()


async def _refilled(plugin: MemoryPlugin, cache: Server) -> bool:
    """Whether the next fill has driven out what came back."""
    assert await contents(plugin, "ana", ASKS[0]) == {KEPT, FUTURE}
    return not with_text(cache, OLD)
