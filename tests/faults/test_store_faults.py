"""The Valkey store and a server that is killed, cut off, emptied, full, replaced or not there yet."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendError, BackendRejected, BackendUnavailable
from router_memory.types import CandidateSet, MemoryChange, MemoryType, Scope, WriteStatus
from tests.contract.samples import START, change, ids, memories, memory, query
from tests.faults.stores import eventually, faults_of, opened, store, stored
from tests.servers.census import census
from tests.servers.ports import free_port
from tests.servers.process import Server
from tests.servers.proxy import Proxy
from tests.servers.resp import ServerSaid

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory.backends.valkey import ValkeyStore
    from tests.servers.fixtures import OwnCluster, OwnServer

ALICE, BOB = Scope("alice"), Scope("bob")
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


def found(result: CandidateSet) -> set[str]:
    """The ids of the candidates."""
    return {candidate.record.id for candidate in result.candidates}


async def _whole(target: ValkeyStore, scope: Scope, expected: set[str]) -> bool:
    result = await target.candidates(query(scope, dense_limit=10_000))
    return not result.partial and found(result) == expected


async def _counts(target: ValkeyStore, scope: Scope, expected: int) -> bool:
    return await target.count(scope) == expected


# -- killed


async def test_no_acknowledged_write_is_lost_when_the_server_is_killed(own_server: OwnServer) -> None:
    """Killed with -9 in the middle of 1,000 writes, with appendfsync always; the index is whole again afterwards.

    Docs say what appendfsync everysec may lose. Reference defect 8: what is there is there with its statistics.
    """
    server = own_server(search=True, config=DURABLE)
    writes = [memory(ALICE, seed, conversation_id="c", rows=1 + seed % 2) for seed in range(1_000)]
    acknowledged: set[str] = set()
    half = asyncio.Event()
    down = False

    async def write(target: ValkeyStore, share: list[int]) -> None:
        for seed in share:
            while not down:
                try:
                    await target.add(ALICE, [writes[seed]])
                except BackendUnavailable:
                    continue
                acknowledged.add(writes[seed].record.id)
                break
            if len(acknowledged) >= 500:
                half.set()

    async with opened([server.address], timeout=5.0) as target:
        writers = [asyncio.create_task(write(target, list(range(first, 1_000, 8)))) for first in range(8)]
        await half.wait()
        server.kill()
        down = True
        await asyncio.gather(*writers)
        before = set(acknowledged)
        assert 500 <= len(before) < 1_000
        server.start()
        await eventually(lambda: _holds(target, before))
        assert faults_of(server) == []
        for write_ in writes:
            await stored(target, ALICE, write_)
        await eventually(lambda: _whole(target, ALICE, set(ids(writes))))
        assert await target.count(ALICE) == 1_000
        assert (await target.statistics(ALICE, ["memory"])).frequency == {"memory": 1_000}
    assert faults_of(server) == []


async def _holds(target: ValkeyStore, names: set[str]) -> bool:
    return await target.contains(ALICE, sorted(names)) == frozenset(names)


async def test_a_server_that_comes_back_empty_is_used_again(own_server: OwnServer) -> None:
    """Without persistence a restart loses everything; the store makes the index anew by itself."""
    server = own_server(search=True)
    async with opened([server.address], timeout=5.0) as target:
        await target.add(ALICE, memories(ALICE, 20))
        server.kill()
        with pytest.raises(BackendUnavailable):
            await target.count(ALICE)
        server.start()
        await stored(target, ALICE, memory(ALICE, 1))
        await eventually(lambda: _whole(target, ALICE, set(ids([memory(ALICE, 1)]))))
        assert census(*server.address, "mem:").schema
    assert faults_of(server) == []


async def test_a_connection_cut_in_the_middle_of_calls_loses_nothing(own_server: OwnServer) -> None:
    """Every call ends with an answer or a typed error; what was refused can be repeated; no half of anything."""
    server = own_server(search=True)
    proxy = Proxy(server.port).start()
    try:
        async with opened([("127.0.0.1", proxy.port)], timeout=5.0) as target:
            for round_ in range(6):
                writes = [memory(ALICE, 100 * round_ + seed, rows=2) for seed in range(40)]
                calls = [
                    asyncio.create_task(call)
                    for write in writes
                    for call in (
                        target.add(ALICE, [write]),
                        target.candidates(query(ALICE, 1, stems=("memory",))),
                        target.contains(ALICE, ids(writes)),
                    )
                ]
                await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                proxy.cut()
                for outcome in await asyncio.gather(*calls, return_exceptions=True):
                    assert not isinstance(outcome, BaseException) or isinstance(outcome, BackendUnavailable)
                for write in writes:
                    await stored(target, ALICE, write)
                assert await target.contains(ALICE, ids(writes)) == frozenset(ids(writes))
            assert await target.count(ALICE) == 240
    finally:
        proxy.close()
    assert faults_of(server) == []


# -- emptied


@pytest.mark.parametrize("promote_at", [0, 10_000], ids=["graphs", "exact"])
async def test_a_flushed_server_heals_by_itself(own_server: OwnServer, promote_at: int) -> None:
    """FLUSHALL takes data, index and schema; the next write and search work, and both are there again."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=promote_at) as target:
        await target.add(ALICE, memories(ALICE, 20))
        await target.candidates(query(ALICE))
        await target.settle()
        for seed in (1, 2, 3):
            server.ask("FLUSHALL")
            assert await target.add(ALICE, [memory(ALICE, seed)]) == [WriteStatus.STORED]
            result = await target.candidates(query(ALICE))
            assert found(result) == set(ids([memory(ALICE, seed)]))
            assert (await target.candidates(query(Scope("alice", "p")))).candidates == ()
            assert server.ask("FT._LIST")
            assert census(*server.address, "mem:").schema[b"version"] == b"1"
            assert faults_of(server) == []


async def test_a_dropped_index_is_made_again(own_server: OwnServer) -> None:
    """What an operator does to have the memories indexed anew; none is missed, by vector, by stem or in a project."""
    server = own_server(search=True)
    home = Scope("alice", "home")
    writes = [*memories(home, 50)]
    async with opened([server.address]) as target:
        await target.add(home, writes)
        for wanted in (
            query(ALICE, dense_limit=100),
            query(home, dense_limit=100),
            query(ALICE, None, stems=("memory",)),
        ):
            server.ask("FT.DROPINDEX", "mem_idx")

            async def searched(wanted: object = wanted) -> bool:
                result = await target.candidates(wanted)  # type: ignore[arg-type]
                if len(result.candidates) == 50:
                    return True
                assert result.partial
                return False

            await eventually(searched)


# -- full


async def test_a_server_out_of_memory_says_so_and_keeps_what_it_has(own_server: OwnServer) -> None:
    """Nothing is half written; small reads and deletions go on; with memory again all works."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(ALICE, memories(ALICE, 50))
        used = _used(server)
        server.ask("CONFIG", "SET", "maxmemory", str(used + 512 * 1024))
        refused = await _until_refused(target)
        assert "out of memory" in refused.message
        assert "maxmemory" in refused.hint
        assert faults_of(server) == []
        server.ask("CONFIG", "SET", "maxmemory", str(_used(server) - 1024))
        assert await target.count(ALICE) == census(*server.address, "mem:").memories
        name = memory(ALICE, 1).record.id
        assert await target.get(ALICE, name) is not None
        assert len((await target.list(ALICE, limit=10)).records) == 10
        for call in (
            target.add(ALICE, [memory(ALICE, 1_000_000, rows=3)]),
            target.update(ALICE, name, change(memory(ALICE, 2_000_000, rows=2))),
            target.update(ALICE, name, MemoryChange(at=START, type=MemoryType.EPISODIC, importance=0.1)),
            target.touch(ALICE, [name], START),
            target.candidates(query(ALICE)),
        ):
            try:
                await call
            except BackendRejected as error:
                assert "maxmemory" in error.hint  # noqa: PT017 - a call may also succeed: what has begun is finished
        assert faults_of(server) == []
        assert await target.forget(ALICE, [name]) == 1
        server.ask("CONFIG", "SET", "maxmemory", "0")
        assert await target.add(ALICE, [memory(ALICE, 3_000_000)]) == [WriteStatus.STORED]
        assert await _whole(target, ALICE, {r.id for r in (await target.list(ALICE, limit=10_000)).records})
        assert await target.count(ALICE) == census(*server.address, "mem:").memories
    assert faults_of(server) == []


def _used(server: Server) -> int:
    info = server.ask("INFO", "memory")
    assert isinstance(info, bytes)
    return int(next(line for line in info.splitlines() if line.startswith(b"used_memory:")).split(b":")[1])


async def _until_refused(target: ValkeyStore) -> BackendRejected:
    for first in range(1_000, 200_000, 64):
        try:
            await target.add(ALICE, [memory(ALICE, seed, rows=1 + seed % 3) for seed in range(first, first + 64)])
        except BackendRejected as error:
            return error
    raise AssertionError("the server never ran out of memory")


# -- not there


async def test_a_server_that_starts_later_is_used_within_a_second(own_server: OwnServer) -> None:
    """Reference defect 10: a server that is down at the start does not disable memory for the life of the process."""
    server = own_server(search=True)
    server.stop()
    async with opened([server.address]) as target:
        for _ in range(3):
            with pytest.raises(BackendUnavailable, match=str(server.port)):
                await target.candidates(query(ALICE))
        with pytest.raises(BackendUnavailable):
            await target.add(ALICE, [memory(ALICE, 1)])
        await asyncio.sleep(1.5)  # so that the pauses between attempts have grown
        server.start()
        began = time.monotonic()
        await stored(target, ALICE, memory(ALICE, 1))
        assert time.monotonic() - began < 3.0  # promised is 1 s; the machine may be busy
        assert await _whole(target, ALICE, set(ids([memory(ALICE, 1)])))


async def test_opening_without_a_server_fails_only_who_must_ask_it() -> None:
    """An operator's store, which knows neither dimension nor embedder, cannot start without the server."""
    absent = ("127.0.0.1", free_port())
    async with opened([absent], timeout=1.0) as target:
        with pytest.raises(BackendUnavailable):
            await target.count(ALICE)
    asking = store([absent], timeout=1.0, dimension=None, fingerprint=None)
    with pytest.raises(BackendUnavailable):
        await asking.open()
    await asking.close()


async def test_a_lost_node_costs_its_own_users_alone(own_cluster: OwnCluster) -> None:
    """Users of the other nodes read, search and write on; those of the lost one get a typed error in time."""
    cluster = own_cluster(search=True)
    users: dict[int, Scope] = {}
    for number in range(200):
        scope = Scope(f"user {number}")
        users.setdefault(cluster.node_of(f"{{{scope.user_digest}}}"), scope)
    assert sorted(users) == [0, 1, 2]
    async with opened(cluster.addresses, cluster=True, timeout=1.0) as target:
        for scope in users.values():
            await stored(target, scope, *memories(scope, 10))
            await eventually(partial(_whole, target, scope, set(ids(memories(scope, 10)))))
        lost = 1 if cluster.node_of("mem:schema") != 1 else 2
        cluster.nodes[lost].kill()
        for node, scope in users.items():
            if node == lost:
                continue
            await stored(target, scope, memory(scope, 100))
            await eventually(partial(_whole, target, scope, set(ids([*memories(scope, 10), memory(scope, 100)]))))
            await eventually(partial(_counts, target, scope, 11))
        for call in (
            target.candidates(query(users[lost])),
            target.add(users[lost], [memory(users[lost], 100)]),
            target.count(users[lost]),
        ):
            began = time.monotonic()
            with pytest.raises(BackendError):
                await call
            assert time.monotonic() - began < 4.0  # the timeout is 1 s


# -- ten at once


async def test_stores_that_start_together_make_one_index(own_server: OwnServer) -> None:
    """Reference defect 10: replicas that race for FT.CREATE all work."""
    server = own_server(search=True)
    stores = [store([server.address]) for _ in range(10)]
    await asyncio.gather(*(each.open() for each in stores))
    try:
        await asyncio.gather(*(each.add(ALICE, [memory(ALICE, seed)]) for seed, each in enumerate(stores)))
        for each in stores:
            assert len((await each.candidates(query(ALICE))).candidates) == 10
        assert server.ask("FT._LIST") == [b"mem_idx"]
    finally:
        await asyncio.gather(*(each.close() for each in stores))


async def test_stores_that_start_together_on_a_cluster_make_one_index(own_cluster: OwnCluster) -> None:
    """The same where each node has an index of its keys."""
    cluster = own_cluster(search=True)
    stores = [store(cluster.addresses, cluster=True) for _ in range(6)]
    await asyncio.gather(*(each.open() for each in stores))
    users = [Scope(f"user {number}") for number in range(12)]
    try:
        for number, user in enumerate(users):
            await stores[number % 6].add(user, memories(user, 3))
        for each in stores:
            for user in users:
                assert len((await each.candidates(query(user))).candidates) == 3
        for node in cluster.nodes:
            assert node.ask("FT._LIST") == [b"mem_idx"]
    finally:
        await asyncio.gather(*(each.close() for each in stores))


@pytest.mark.full
async def test_processes_that_start_together_make_one_index(own_server: OwnServer, tmp_path: Path) -> None:
    """Ten processes on an empty server."""
    server = own_server(search=True)
    processes = [
        await asyncio.create_subprocess_exec(
            *_STARTER, str(server.port), str(number), stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for number in range(10)
    ]
    for process in processes:
        _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
    assert server.ask("FT._LIST") == [b"mem_idx"]
    assert census(*server.address, "mem:").memories == 10
    assert faults_of(server) == []


_PROGRAM = """
import asyncio, sys
from router_memory.types import Scope
from tests.contract.samples import memory
from tests.faults.stores import opened

async def main() -> None:
    async with opened([("127.0.0.1", int(sys.argv[1]))]) as store:
        await store.add(Scope("alice"), [memory(Scope("alice"), int(sys.argv[2]))])

asyncio.run(main())
"""


def _python() -> str:
    import sys

    return sys.executable


_STARTER = (_python(), "-c", _PROGRAM)


async def test_the_harness_would_notice(own_server: OwnServer) -> None:
    """A counter that is one off, a vector without its memory and a key nobody knows are all found."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        await target.add(ALICE, [memory(ALICE, 1, rows=2)])
    base = f"mem:{{{ALICE.user_digest}}}"
    assert faults_of(server) == []
    server.ask("HINCRBY", f"mem:meta:{{{ALICE.user_digest}}}", "df:memory", "1")
    assert len(faults_of(server)) == 1
    server.ask("DEL", f"{base}:{memory(ALICE, 1).record.id}")
    server.ask("SET", "mem:other", "x")
    assert len(faults_of(server)) > 3
    with pytest.raises(ServerSaid):
        server.ask("NO.SUCH")
