"""The cache's server while it is stopped, gone, empty, full or not there yet: calls end in time, and all is well after.

A second is what recovery may take; the bounds here are wider, for machines that are busy with other things.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.valkey import Connection, ValkeyCache
from router_memory.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable
from tests.contract.hotcache_contract import ALICE, TTL, fill, look, question
from tests.faults.stores import Lag, eventually
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from tests.servers.cluster import Cluster
    from tests.servers.fixtures import OwnCluster, OwnServer
    from tests.servers.process import Server

WITHIN = 0.02
"""As configured by default: what a look may take."""
TIMEOUT = 1.0
"""Of the connection."""
SLACK = 1.0
LONGEST_RECOVERY = 3.0


@asynccontextmanager
async def opened(addresses: Sequence[tuple[str, int]], **settings: Any) -> AsyncIterator[ValkeyCache]:
    """An open cache."""
    connection = Connection(addresses=addresses, search_clients=0, timeout=TIMEOUT, **settings)
    cache = ValkeyCache(connection, prefix="cache:")
    await cache.open()
    try:
        yield cache
    finally:
        await cache.close()


async def outcome(call: Awaitable[object]) -> tuple[BackendError | None, float]:
    """The error of a call, if there was one, and how long it took."""
    began = time.perf_counter()
    try:
        await call
    except BackendError as error:
        return error, time.perf_counter() - began
    return None, time.perf_counter() - began


def calls(cache: ValkeyCache, user: str = ALICE, within: float = WITHIN) -> list[Awaitable[object]]:
    """One of each kind that requests make."""
    return [
        cache.get(user, question(), within=within),
        cache.put(user, question(), b"1", epoch="e", lease=b"", ttl=TTL, within=within),
        cache.purge(user, within=within),
        cache.get_vector(question(), within=within),
        cache.put_vector(question(), b"1", ttl=TTL, within=within),
    ]


async def recovery(cache: ValkeyCache, user: str = ALICE) -> float:
    """Seconds until values can be kept and read again, with calls that hurry as requests do."""

    async def works() -> bool:
        lease = (await cache.get(user, question(), within=WITHIN)).lease
        await cache.put(user, question(), b"back", epoch="e", lease=lease, ttl=TTL, within=WITHIN)
        return (await cache.get(user, question(), within=WITHIN)).value == b"back"

    return await eventually(works)


@pytest.fixture(params=["stopped", "killed", "refused", "swallowed"])
def fault(
    request: pytest.FixtureRequest, own_server: OwnServer
) -> Iterator[tuple[tuple[str, int], Callable[[], object], Callable[[], object]]]:
    """Where the server is reached, what takes it away, and what brings it back."""
    server = own_server()
    proxy = Proxy(server.port).start()

    def refuse() -> None:
        proxy.refuse()
        proxy.cut()

    through = ("127.0.0.1", proxy.port)
    yield {
        "stopped": (server.address, server.pause, server.resume),
        "killed": (server.address, server.kill, server.start),
        "refused": (through, refuse, proxy.forward),
        "swallowed": (through, proxy.swallow, proxy.forward),
    }[request.param]
    proxy.close()


Fault = tuple[tuple[str, int], "Callable[[], object]", "Callable[[], object]"]


class TestAway:
    @pytest.mark.alone
    @pytest.mark.parametrize("used", [True, False], ids=["established", "first"])
    async def test_calls_end_in_time_and_it_comes_back_by_itself(self, fault: Fault, *, used: bool) -> None:
        address, strike, heal = fault
        async with opened([address]) as cache:
            if used:
                assert await fill(cache)
            strike()
            async with Lag() as lag:
                outcomes = []
                until = time.perf_counter() + 1.5
                while time.perf_counter() < until:
                    outcomes += await asyncio.gather(*map(outcome, calls(cache)))
                    await asyncio.sleep(0.01)
            heal()
            took = await recovery(cache)

        assert all(isinstance(error, BackendUnavailable) for error, _ in outcomes)
        assert max(seconds for _, seconds in outcomes) < WITHIN + SLACK
        assert sorted(seconds for _, seconds in outcomes)[len(outcomes) // 2] < 5 * WITHIN
        assert lag.stayed_small()
        assert took < LONGEST_RECOVERY

    async def test_connection_forgotten_while_idle(self, own_server: OwnServer) -> None:
        """A firewall forgets what is idle: calls that hurry find out, too."""
        proxy = Proxy(own_server().port).start()
        async with opened([("127.0.0.1", proxy.port)]) as cache:
            assert await fill(cache)
            proxy.swallow()
            proxy.forward()
            error, _ = await outcome(cache.get(ALICE, question(), within=WITHIN))
            assert isinstance(error, BackendTimeout)
            assert await recovery(cache) < LONGEST_RECOVERY
        proxy.close()

    async def test_restart_means_empty(self, own_server: OwnServer) -> None:
        server = own_server()
        async with opened([server.address]) as cache:
            assert await fill(cache)
            server.kill()
            server.start()
            assert await eventually(lambda: _missing(cache)) < LONGEST_RECOVERY
            assert await recovery(cache) < LONGEST_RECOVERY

    async def test_flushed(self, own_server: OwnServer) -> None:
        server = own_server()
        async with opened([server.address]) as cache:
            assert await fill(cache)
            server.ask("FLUSHALL")
            server.ask("SCRIPT", "FLUSH")
            assert await look(cache) is None
            assert await fill(cache)
            assert await look(cache) == b"value"

    @pytest.mark.alone
    async def test_close_waits_for_nobody(self, own_server: OwnServer) -> None:
        server = own_server()
        async with opened([server.address]) as cache:
            assert await fill(cache)
            server.pause()
            under_way = asyncio.create_task(outcome(cache.get(ALICE, question(), within=5 * SLACK)))
            await asyncio.sleep(0.05)
            _, seconds = await outcome(cache.close())
            error, _ = await under_way
            server.resume()
        assert seconds < SLACK
        assert isinstance(error, BackendUnavailable)

    async def test_slow_server_is_not_flooded_with_clients(self, own_server: OwnServer) -> None:
        """It answers each command late: every call misses its deadline, and the connection stays the one it was."""
        server = own_server()
        proxy = Proxy(server.port).start()
        async with opened([("127.0.0.1", proxy.port)]) as cache:
            assert await fill(cache)
            before = proxy.connections
            late = 0
            for _ in range(8):
                asleep = asyncio.create_task(asyncio.to_thread(server.ask, "DEBUG", "SLEEP", "0.2"))
                await asyncio.sleep(0.05)
                while not asleep.done():
                    error, _ = await outcome(cache.get(ALICE, question(), within=WITHIN))
                    late += isinstance(error, BackendTimeout)
                await asleep
            assert late > 8
            assert await recovery(cache) < LONGEST_RECOVERY
            assert proxy.connections - before <= 4  # one for each time would be eight
        proxy.close()


async def _missing(cache: ValkeyCache) -> bool:
    return (await cache.get(ALICE, question(), within=WITHIN)).value is None


class TestFull:
    async def _filled(self, cache: ValkeyCache) -> BackendError | None:
        """Keeps values of many users until there is no room; the error that says so."""
        for number in range(200):
            try:
                await fill(cache, f"user{number:028}", value=bytes(100_000))
            except BackendError as error:
                return error
        return None

    async def test_without_eviction_fills_are_refused_and_the_rest_works(self, own_server: OwnServer) -> None:
        server = own_server(config={"maxmemory": "8mb", "maxmemory-policy": "noeviction"})
        async with opened([server.address]) as cache:
            assert await fill(cache)
            error = await self._filled(cache)
            assert isinstance(error, BackendRejected)
            assert "out of memory" in error.message
            assert "allkeys-lru" in error.hint
            server.ask("CONFIG", "SET", "maxmemory", "1mb")
            assert await look(cache) == b"value"
            with pytest.raises(BackendRejected):
                await cache.put_vector(question(), b"1", ttl=TTL, within=TIMEOUT)
            await cache.purge(ALICE, within=TIMEOUT)  # forgetting needs no room
            assert await look(cache) is None
            server.ask("SCRIPT", "FLUSH")
            await cache.purge("nobody", within=TIMEOUT)
            assert await cache.clear() > 10
            server.ask("CONFIG", "SET", "maxmemory", "8mb")
            assert await fill(cache)

    async def test_with_eviction_it_goes_on(self, own_server: OwnServer) -> None:
        server = own_server(config={"maxmemory": "8mb", "maxmemory-policy": "allkeys-lru"})
        async with opened([server.address]) as cache:
            assert await self._filled(cache) is None
            assert await fill(cache)
            assert await look(cache) == b"value"
            stats = await cache.stats()
        assert stats.evicted > 0
        assert stats.users < 200
        assert stats.policy == "allkeys-lru"


async def test_server_that_is_loading(own_server: OwnServer) -> None:
    """It says so to every command; the cache is back as soon as it has read its data."""
    server = own_server(
        config={"save": "3600 1", "key-load-delay": "500", "loading-process-events-interval-bytes": "1024"}
    )
    async with opened([server.address]) as cache:
        assert await fill(cache)
        server.ask("DEBUG", "POPULATE", "4000")
        server.stop()
        starting = asyncio.create_task(asyncio.to_thread(server.start))
        said = set()
        while not starting.done():
            error, seconds = await outcome(cache.get(ALICE, question(), within=WITHIN))
            assert seconds < WITHIN + SLACK
            assert error is None or isinstance(error, BackendUnavailable)
            said.add(error.message.rpartition(": ")[2] if error else "")
            await asyncio.sleep(0.01)
        await starting
        assert "the server is starting" in said
        assert await recovery(cache) < LONGEST_RECOVERY


@pytest.fixture
def cluster(own_cluster: OwnCluster) -> Cluster:
    return own_cluster()


@pytest.mark.full
@pytest.mark.alone
async def test_lost_node_of_a_cluster_costs_its_users_alone(cluster: Cluster) -> None:
    users = [next(user for user in map(str, range(100)) if cluster.node_of(user) == number) for number in range(3)]
    lost: Server = cluster.nodes[0]
    async with opened(cluster.addresses, cluster=True) as cache:
        for user in users:
            assert await fill(cache, user)
        lost.pause()
        misses = []
        until = time.perf_counter() + 1.5
        while time.perf_counter() < until:
            error, seconds = await outcome(cache.get(users[0], question(), within=WITHIN))
            assert isinstance(error, BackendUnavailable)
            assert seconds < WITHIN + SLACK
            for user in users[1:]:
                error, seconds = await outcome(cache.get(user, question(), within=WITHIN))
                assert seconds < WITHIN + SLACK
                misses.append(error is not None)
        lost.resume()
        await asyncio.to_thread(cluster.wait)
        for user in users:
            assert await recovery(cache, user) < LONGEST_RECOVERY
    assert sum(misses) < 0.2 * len(misses)
