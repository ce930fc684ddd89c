"""A server that saves a snapshot, rewrites its log or feeds a replica forks; writes and searches go on meanwhile.

With the Search module's own defaults it does not: Search 1.2.1 stops its writers until the child has ended, a script
that writes waits for them, and the server waits for ever. `search.max-worker-suspension-secs 0` keeps them going
(github.com/valkey-io/valkey-search/issues/1260).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router_memory.types import Scope
from tests.contract.samples import ids, memories, memory, query
from tests.faults.stores import eventually, faults_of, opened

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

ALICE = Scope("alice")
SLOWLY = {"rdb-key-save-delay": "1000"}  # microseconds for each key, so that the child lives for a while
VERY_SLOWLY = {"rdb-key-save-delay": "5000"}


@pytest.mark.parametrize("command", ["BGSAVE", "BGREWRITEAOF"])
async def test_writes_and_searches_go_on_while_the_server_forks(own_server: OwnServer, command: str) -> None:
    """Every call is answered although the child is alive all the time."""
    server = own_server(search=True, config={"appendonly": "yes", "auto-aof-rewrite-percentage": "0", **VERY_SLOWLY})
    async with opened([server.address], timeout=20.0) as target:
        await target.add(ALICE, memories(ALICE, 2_000))
        server.ask(command)
        await eventually(lambda: _has_child(server))
        new = [memory(ALICE, 10_000 + seed) for seed in range(20)]
        for seed, write in enumerate(new, 10_000):
            await target.add(ALICE, [write])
            found = await target.candidates(query(ALICE, seed, dense_limit=5))
            assert write.record.id in {hit.record.id for hit in found.candidates}
        assert await _has_child(server), "the child ended too soon for this test to say anything"
        assert await target.forget(ALICE, ids(new)) == 20
    assert faults_of(server) == []
    server.stop()  # and its child


async def test_a_replica_is_fed_while_memories_are_written(own_server: OwnServer) -> None:
    """A full synchronisation forks, too; the replica has everything in the end."""
    server, replica = own_server(search=True, config=SLOWLY), own_server(search=True)
    async with opened([server.address], timeout=20.0) as target:
        await target.add(ALICE, memories(ALICE, 2_000))
        replica.ask("REPLICAOF", server.host, str(server.port))
        await eventually(lambda: _has_child(server))
        for seed in range(20):
            await target.add(ALICE, [memory(ALICE, 10_000 + seed)])
        await eventually(lambda: _is_same(server, replica))
    assert faults_of(replica) == []


async def _has_child(server: Server) -> bool:
    info = await asyncio.to_thread(server.ask, "INFO", "persistence")
    assert isinstance(info, bytes)
    return any(mark in info for mark in (b"rdb_bgsave_in_progress:1", b"aof_rewrite_in_progress:1"))


async def _is_same(server: Server, replica: Server) -> bool:
    info = await asyncio.to_thread(replica.ask, "INFO", "replication")
    assert isinstance(info, bytes)
    return b"master_link_status:up" in info and server.ask("DBSIZE") == replica.ask("DBSIZE")
