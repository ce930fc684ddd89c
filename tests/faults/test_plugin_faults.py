"""The whole plugin over a Valkey server that stops, comes late or goes away: a chat never fails and never waits."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from router_memory import MemoryPlugin, Reason, Scope, Status, WriteStatus
from router_memory.config import load_config
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.faults.stores import Lag, eventually, faults_of
from tests.servers.census import census

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.plugin.writes import Receipt
    from tests.servers.cluster import Cluster
    from tests.servers.fixtures import OwnCluster, OwnServer
    from tests.servers.process import Server

ANA = Scope("ana")
SEAT = "I always book the aisle seat on flights"
ASK = "Which seat do I book on flights?"
DEADLINE_MS = 300
MARGIN = 1.2
"""Seconds a request may take beyond its deadline on a busy machine."""
LONGEST_RECOVERY = 4.0
"""Promised is a second; the machine may be busy."""


@asynccontextmanager
async def opened(
    addresses: list[tuple[str, int]], *, cluster: bool = False, **memory: Any
) -> AsyncIterator[MemoryPlugin]:
    """A plugin over a server; keyword arguments go into the memory section."""
    valkey: dict[str, Any] = {"timeout": 1.0, "dimension": HashingEmbedder.dimension}
    if cluster:
        valkey |= {"cluster": True, "addresses": [f"{host}:{port}" for host, port in addresses]}
    else:
        valkey |= {"host": addresses[0][0], "port": addresses[0][1]}
    section = {
        "enabled": True,
        "auto_store": True,
        "hybrid_search": True,
        "deadline_ms": DEADLINE_MS,
        "default_similarity_threshold": 0.5,
        "backend": "valkey",
        "valkey": valkey,
    } | memory
    source = {"global": {"stores": {"memory": section}}}
    async with MemoryPlugin(Assembly(load_config(source), HashingEmbedder)) as plugin:
        yield plugin


def ask(text: str = ASK) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


async def _refused(plugin: MemoryPlugin, messages: list[dict[str, Any]]) -> Any:
    """A request while the server is away: as it came, in time, and it says why."""
    before = [dict(message) for message in messages]
    began = time.monotonic()
    outcome = await plugin.on_request(decision="any", user_id="ana", messages=messages)
    assert time.monotonic() - began < DEADLINE_MS / 1000 + MARGIN
    assert outcome.messages is messages
    assert messages == before
    assert outcome.status is Status.UNAVAILABLE
    assert outcome.reason in {Reason.TIMEOUT, Reason.STORE_UNAVAILABLE}
    return outcome


async def _added(plugin: MemoryPlugin, user: str = ANA.user_id) -> None:
    """Adds what is asked for; once more where making the index took the time of the call, which is safe."""

    async def added() -> bool:
        await plugin.add(Scope(user), SEAT)
        return True

    await eventually(added)


async def _used(plugin: MemoryPlugin) -> bool:
    outcome = await plugin.on_request(decision="any", user_id="ana", messages=ask())
    return outcome.status is Status.USED


async def _turn(plugin: MemoryPlugin, number: int) -> Receipt:
    """A turn whose request was served, or not: its text is queued all the same."""
    outcome = await plugin.on_request(
        decision="any",
        user_id="ana",
        messages=[{"role": "user", "content": f"My locker number {number} is by the window of room {number}"}],
        conversation_id=f"c{number}",
    )
    return await plugin.on_response(outcome, f"Noted: locker {number} in room {number}.")


@pytest.mark.alone
async def test_a_server_that_stops_for_three_seconds_fails_no_request(own_server: OwnServer) -> None:
    """SIGSTOP: requests go on unchanged within their deadline; what was written meanwhile is there in the end, once."""
    server = own_server(search=True)
    async with opened([server.address]) as plugin:
        await _added(plugin)
        await eventually(lambda: _used(plugin))
        async with Lag() as lag:
            receipts = await _while_stopped(plugin, server)
        assert lag.stayed_small()  # glide's own create() would hold it for 2 s
        await eventually(lambda: _used(plugin))
        for receipt in receipts:
            await receipt.wait()
        statuses = {status for receipt in receipts for status in receipt.statuses}
        assert statuses <= {WriteStatus.STORED, WriteStatus.MERGED, WriteStatus.UNKNOWN}
        for number in range(len(receipts)):  # what is unknown is written again by whoever needs to know
            again = await _turn(plugin, number)
            await again.wait()
        assert await plugin.count(ANA) == 1 + 2 * len(receipts)
    assert faults_of(server) == []
    assert census(*server.address, "mem:").memories == 1 + 2 * len(receipts)


async def _while_stopped(plugin: MemoryPlugin, server: Server) -> list[Receipt]:
    """Requests and turns, one after the other and at once, during 3 s of a stopped server."""
    receipts: list[Receipt] = []
    server.pause()
    try:
        until = time.monotonic() + 3.0
        while time.monotonic() < until:
            await asyncio.gather(*(_refused(plugin, ask()) for _ in range(4)))
            receipts.append(await _turn(plugin, len(receipts)))
    finally:
        server.resume()
    return receipts


async def test_a_server_down_at_the_start_is_used_once_it_is_there(own_server: OwnServer) -> None:
    """Reference defect 10: the plugin opens, requests go on unchanged, and a second after the start all is well."""
    server = own_server(search=True)
    server.stop()
    async with opened([server.address]) as plugin:
        for _ in range(3):
            await _refused(plugin, ask())
        receipt = await _turn(plugin, 0)
        server.start()
        await receipt.wait()
        assert set(receipt.statuses) == {WriteStatus.STORED}
        await _added(plugin)
        took = await eventually(lambda: _used(plugin))
        assert took < LONGEST_RECOVERY
    assert faults_of(server) == []


async def test_a_server_that_is_killed_costs_memory_and_no_chat(own_server: OwnServer) -> None:
    """And back again, twice, without a restart of the plugin."""
    server = own_server(search=True, config={"appendonly": "yes", "appendfsync": "always"})
    async with opened([server.address]) as plugin:
        await _added(plugin)
        for _ in range(2):
            await eventually(lambda: _used(plugin))
            server.kill()
            for _ in range(3):
                await _refused(plugin, ask())
            server.start()
        await eventually(lambda: _used(plugin))
        assert await plugin.count(ANA) == 1


async def test_a_flushed_server_heals_for_the_next_turn(own_server: OwnServer) -> None:
    """A request right after FLUSHALL finds nothing; the turn stored then is found by the next one."""
    server = own_server(search=True)
    async with opened([server.address]) as plugin:
        await _added(plugin)
        await eventually(lambda: _used(plugin))
        server.ask("FLUSHALL")
        outcome = await plugin.on_request(decision="any", user_id="ana", messages=ask())
        assert (outcome.status, outcome.reason) == (Status.MISSING, Reason.NO_RESULTS)
        await _added(plugin)
        await eventually(lambda: _used(plugin))
    assert faults_of(server) == []


async def test_a_full_server_fails_writes_with_a_reason(own_server: OwnServer) -> None:
    """The receipt says what the operator must do; requests go on."""
    server = own_server(search=True)
    async with opened([server.address]) as plugin:
        await _added(plugin)
        server.ask("CONFIG", "SET", "maxmemory", "1mb")
        receipt = await _turn(plugin, 0)
        (first, _) = await receipt.wait()
        assert first.status is WriteStatus.FAILED
        assert "maxmemory" in first.reason
        outcome = await plugin.on_request(decision="any", user_id="ana", messages=ask())
        assert outcome.status is Status.UNAVAILABLE
        assert "maxmemory" in outcome.explain.error
        server.ask("CONFIG", "SET", "maxmemory", "0")
        again = await _turn(plugin, 0)
        assert {result.status for result in await again.wait()} == {WriteStatus.STORED}
    assert faults_of(server) == []


@pytest.mark.alone
async def test_a_lost_node_fails_no_request(own_cluster: OwnCluster) -> None:
    """Users of the lost node go on without memory, in time; the others keep theirs."""
    cluster = own_cluster(search=True)
    async with opened(cluster.addresses, cluster=True) as plugin:
        users = _one_per_node(cluster)
        for user in users.values():
            await _added(plugin, user)
            await eventually(partial(_status, plugin, user, Status.USED))
        lost = 1 if cluster.node_of("mem:schema") != 1 else 2
        cluster.nodes[lost].pause()
        try:
            async with Lag() as lag:
                for _ in range(5):
                    for node, user in users.items():
                        began = time.monotonic()
                        outcome = await plugin.on_request(decision="any", user_id=user, messages=ask())
                        assert time.monotonic() - began < DEADLINE_MS / 1000 + MARGIN
                        if node == lost:
                            assert outcome.status is Status.UNAVAILABLE
            assert lag.stayed_small()
            for node, user in users.items():
                if node != lost:
                    await eventually(partial(_status, plugin, user, Status.USED))
        finally:
            cluster.nodes[lost].resume()
        await eventually(lambda: _status(plugin, users[lost], Status.USED))


def _one_per_node(cluster: Cluster) -> dict[int, str]:
    users: dict[int, str] = {}
    for number in range(200):
        users.setdefault(cluster.node_of(f"{{{Scope(f'user {number}').user_digest}}}"), f"user {number}")
    return users


async def _status(plugin: MemoryPlugin, user: str, wanted: Status) -> bool:
    return (await plugin.on_request(decision="any", user_id=user, messages=ask())).status is wanted
