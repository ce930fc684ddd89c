"""A server that reads its data from disk: what is stored afterwards is found, and by its owner alone.

Search 1.2.1 counts the vectors of a FLAT index from 1 again once it has read it from a snapshot, from the head of an
append-only file that was rewritten, or from a primary. A new vector then takes the place of an old one, under the old
one's key. `search.skip-rdb-load yes` has the index made anew instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendRejected
from router_memory.types import CheckStatus, Finding, Scope
from tests.contract.samples import ids, memories, query
from tests.faults.stores import eventually, faults_of, opened
from tests.servers.resp import ServerSaid

if TYPE_CHECKING:
    from router_memory.backends.valkey import ValkeyStore
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

ALICE, BEN, HOME = Scope("alice"), Scope("ben"), Scope("alice", "home")
AS_SHIPPED = {"search.skip-rdb-load": "no"}
"""The default of the module."""
ANEW = {"search.skip-rdb-load": "yes"}
LOGGED = {"appendonly": "yes", "auto-aof-rewrite-percentage": "0"}
OLD, NEW = memories(ALICE, 5), memories(ALICE, 5, first=100)
BENS, HOMES = memories(BEN, 4, first=200), memories(HOME, 3, first=300)


async def _store_old(target: ValkeyStore) -> None:
    await target.add(ALICE, OLD)
    assert await _found(target, ALICE) == set(ids(OLD))


async def _store_new(target: ValkeyStore) -> None:
    """In steps, so that the vectors have their numbers in this order."""
    for scope, writes in ((ALICE, NEW[:2]), (BEN, BENS), (ALICE, NEW[2:]), (HOME, HOMES)):
        await target.add(scope, writes)


async def _found(target: ValkeyStore, scope: Scope) -> set[str]:
    """Ids of all that a search finds; each must be as near as it is."""
    result = await target.candidates(query(scope, dense_limit=1_000))
    wanted = query(scope).vector
    assert wanted is not None
    nearness = {write.record.id: float(write.vectors[0] @ wanted) for write in (*OLD, *NEW, *BENS, *HOMES)}
    assert all(abs(hit.cosine - nearness[hit.record.id]) < 1e-4 for hit in result.candidates)
    assert not result.partial
    return {hit.record.id for hit in result.candidates}


async def _check_all(target: ValkeyStore) -> None:
    """Each finds all that is his."""
    assert await _found(target, ALICE) == set(ids([*OLD, *NEW, *HOMES]))
    assert await _found(target, HOME) == set(ids(HOMES))
    assert await _found(target, BEN) == set(ids(BENS))


async def _whole(target: ValkeyStore) -> bool:
    return not (await target.candidates(query(ALICE, dense_limit=1_000))).partial


async def _finding(target: ValkeyStore, name: str) -> Finding:
    return next(found for found in await target.examine() if found.name == name)


async def _rewritten(server: Server) -> None:
    server.ask("BGREWRITEAOF")

    async def done() -> bool:
        info = await asyncio.to_thread(server.ask, "INFO", "persistence")
        assert isinstance(info, bytes)
        return b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info

    await eventually(done)


async def _damaged(server: Server) -> bool:
    """Stores on both sides of a restart; whether the server damaged its index by that."""
    async with opened([server.address]) as target:
        await _store_old(target)
    server.ask("SAVE")
    server.restart()
    async with opened([server.address]) as target:
        await _store_new(target)
        return (await _finding(target, "index")).status is CheckStatus.FAIL


async def test_after_a_snapshot(own_server: OwnServer) -> None:
    server = own_server(search=True, config=ANEW)
    async with opened([server.address]) as target:
        await _store_old(target)
        server.ask("SAVE")
        server.restart()
        await eventually(lambda: _whole(target))
        await _store_new(target)
        await _check_all(target)
        assert (await _finding(target, "loading")).status is CheckStatus.OK
        assert (await _finding(target, "index")).status is CheckStatus.OK
    assert faults_of(server) == []


async def test_after_the_append_only_file_was_rewritten(own_server: OwnServer) -> None:
    """What came after the rewrite is read from the file as commands, and what comes after the restart is new again."""
    server = own_server(search=True, config=LOGGED | ANEW)
    async with opened([server.address]) as target:
        await _store_old(target)
        await _rewritten(server)
        await target.add(ALICE, NEW[:2])
        for _ in range(2):
            server.restart()
            await eventually(lambda: _whole(target))
        await _store_new(target)
        await _check_all(target)
    assert faults_of(server) == []


async def test_on_a_replica_that_is_promoted(own_server: OwnServer) -> None:
    server, replica = own_server(search=True, config=ANEW), own_server(search=True, config=ANEW)
    async with opened([server.address]) as target:
        await _store_old(target)
        replica.ask("REPLICAOF", server.host, str(server.port))
        await eventually(lambda: _is_fed(server, replica))
        await _store_new(target)
        await eventually(lambda: _is_fed(server, replica))
    replica.ask("REPLICAOF", "NO", "ONE")
    async with opened([replica.address]) as target:
        await eventually(lambda: _whole(target))
        await _check_all(target)


async def _is_fed(server: Server, replica: Server) -> bool:
    try:
        info = await asyncio.to_thread(replica.ask, "INFO", "replication")
        sizes = server.ask("DBSIZE"), replica.ask("DBSIZE")
    except ServerSaid:  # it loads
        return False
    assert isinstance(info, bytes)
    return b"master_link_status:up" in info and sizes[0] == sizes[1]


async def test_the_doctor_sees_the_damage_and_knows_what_mends_it(
    own_server: OwnServer, caplog: pytest.LogCaptureFixture
) -> None:
    """While the processes that use the index run on."""
    server = own_server(search=True, config=AS_SHIPPED)
    if not await _damaged(server):
        pytest.skip("this Search finds everything after a restart")
    async with opened([server.address]) as target:
        with caplog.at_level(logging.WARNING, "router_memory.valkey"):
            assert (await target.candidates(query(ALICE))).partial
            assert (await target.candidates(query(ALICE))).partial
        assert len([record for record in caplog.records if "lacks memories" in record.message]) == 1
        loading, index = await _finding(target, "loading"), await _finding(target, "index")
        assert loading.status is CheckStatus.WARN
        assert "search.skip-rdb-load yes" in loading.advice
        assert f"-p {server.port} -n 0 FT.DROPINDEX" in index.advice
        assert index.data["lost"] == 4  # numbers 1 to 4 of the five that were loaded
        server.ask(*index.advice.partition(" -n 0 ")[2].split())
        await eventually(lambda: _whole(target))
        await _check_all(target)
        assert (await _finding(target, "index")).status is CheckStatus.OK


async def test_the_next_start_with_the_setting_mends_it(own_server: OwnServer) -> None:
    """Though what was saved is the damaged index; the setting may be made while the server runs."""
    server = own_server(search=True, config=AS_SHIPPED)
    await _damaged(server)
    server.ask("CONFIG", "SET", "search.skip-rdb-load", "yes")
    server.ask("DEBUG", "RELOAD")
    async with opened([server.address]) as target:
        await eventually(lambda: _whole(target))
        await _check_all(target)


async def test_a_damaged_index_shows_nobody_what_is_not_his(own_server: OwnServer) -> None:
    """It gives memories of others in the place of one's own; they are held back."""
    server = own_server(search=True, config=AS_SHIPPED)
    await _damaged(server)
    async with opened([server.address]) as target:
        for scope, own in ((BEN, BENS), (HOME, HOMES), (ALICE, [*OLD, *NEW, *HOMES])):
            assert await _shown_or_refused(target, scope) <= set(ids(own))


async def _shown_or_refused(target: ValkeyStore, scope: Scope) -> set[str]:
    try:
        result = await target.candidates(query(scope, dense_limit=1_000))
    except BackendRejected:
        return set()
    return {hit.record.id for hit in result.candidates}
