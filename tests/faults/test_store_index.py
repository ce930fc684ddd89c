"""Indexes that fill, come and go while searches and writes go on: no memory is missed, none is denied."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest

from router_memory.backends.valkey import index, promotion, search
from router_memory.backends.valkey.keys import Keys
from router_memory.errors import BackendTimeout, BackendUnavailable
from router_memory.types import CandidateQuery, MemoryType, Scope
from tests.contract.samples import ids, memories, memory, query
from tests.faults.stores import PATIENCE, eventually, faults_of, opened

if TYPE_CHECKING:
    from router_memory.backends.valkey import ValkeyStore
    from tests.servers.cluster import Cluster
    from tests.servers.fixtures import OwnCluster, OwnServer
    from tests.servers.process import Server

ALICE = Scope("alice")
HOME = Scope("alice", "home")

SLOW: dict[str, Any] = {"index_type": "hnsw", "m": 128, "ef_construction": 4_096}
"""An index that takes its time to fill, so that a few thousand memories show what a million do."""


def _check_refusal(error: BackendUnavailable) -> None:
    """It says that the index is not ready, how far it is, and what that means."""
    assert "index" in error.message
    assert "%" in error.message
    assert error.hint


async def _until_whole(target: ValkeyStore, expected: int) -> tuple[int, int]:
    """How often a search was partial, and how often refused, until it found everything."""
    partial = refused = 0

    async def whole() -> bool:
        nonlocal partial, refused
        try:
            result = await target.candidates(query(HOME, dense_limit=10_000))
        except BackendUnavailable as error:
            _check_refusal(error)
            refused += 1
            return False
        if result.partial:
            partial += 1
            return False
        assert len(result.candidates) == expected
        return True

    await eventually(whole)
    return partial, refused


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that hardly waits for a new index: a small one then shows what a large one does."""
    monkeypatch.setattr(index, "_FILL_TRIES", 1)
    monkeypatch.setattr(search, "_PATIENCE_SECONDS", 0.05)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("count", "shape"),
    [
        pytest.param(1_000, SLOW, id="1,000 memories"),
        pytest.param(25_000, {"index_type": "hnsw"}, id="25,000 memories", marks=pytest.mark.full),
    ],
)
async def test_an_index_that_fills_is_never_taken_for_no_memories(
    own_server: OwnServer, count: int, shape: dict[str, Any]
) -> None:
    """Searches are partial, or a typed error with the percentage, until they find everything."""
    server = own_server(search=True)
    async with opened([server.address], timeout=30.0) as target:
        await target.add(HOME, memories(HOME, count))
    server.ask("FT.DROPINDEX", "mem_idx")
    async with opened([server.address], timeout=30.0, **shape) as target:
        partial, refused = await _until_whole(target, min(count, 10_000))
        assert partial + refused > 0, "the index filled too fast for this test to say anything"
        result = await target.candidates(query(ALICE, 7, dense_limit=5))
        assert memory(HOME, 7).record.id in {candidate.record.id for candidate in result.candidates}
        assert (await target.stats()).details["index_ready"]


REMADE: dict[str, CandidateQuery] = {
    "dense": query(ALICE, dense_limit=10_000),
    "with project": query(HOME, dense_limit=10_000),
    "with types": query(ALICE, types=frozenset({MemoryType.SEMANTIC}), dense_limit=10_000),
    "stems alone": query(ALICE, None, stems=("memory",), lexical_limit=10_000),
    "both channels": query(HOME, stems=("memory",), dense_limit=10_000, lexical_limit=10_000),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("asked", REMADE.values(), ids=REMADE.keys())
async def test_an_index_remade_by_another_process_is_noticed(own_server: OwnServer, asked: CandidateQuery) -> None:
    """A store that saw the index whole a moment ago does not take an answer from the new one for the whole truth."""
    server = own_server(search=True)
    async with opened([server.address], timeout=30.0, **SLOW) as one:
        await one.add(HOME, memories(HOME, 800))
        await eventually(lambda: _finds(one, 800))
        unsure = 0

        async def whole() -> bool:
            nonlocal unsure
            try:
                result = await one.candidates(asked, within=2.0)
            except BackendTimeout:
                return False
            except BackendUnavailable as error:
                _check_refusal(error)
                unsure += 1
                return False
            assert result.partial or len(result.candidates) == 800
            unsure += result.partial
            return not result.partial

        for _ in range(10):
            server.ask("FT.DROPINDEX", "mem_idx")
            async with opened([server.address], timeout=30.0, **SLOW):
                await eventually(whole)
            if unsure:
                return
        raise AssertionError("the index filled too fast each time for this test to say anything")


async def _finds(target: ValkeyStore, count: int) -> bool:
    result = await target.candidates(query(ALICE, dense_limit=10_000))
    return not result.partial and len(result.candidates) == count


@pytest.mark.full
@pytest.mark.usefixtures("impatient")
async def test_a_node_that_fills_does_not_hide_behind_one_that_is_ready(own_cluster: OwnCluster) -> None:
    """On a cluster each node fills an index of its own; a user on a slow one is not told there is nothing."""
    cluster = own_cluster(search=True)
    small, large = _users(cluster)
    async with opened(cluster.addresses, cluster=True, timeout=30.0) as target:
        await target.add(small, memories(small, 3))
        await target.add(large, memories(large, 3_000))
    cluster.nodes[0].ask("FT.DROPINDEX", "mem_idx")
    async with opened(cluster.addresses, cluster=True, timeout=30.0, **SLOW) as target:
        seen = 0

        async def whole() -> bool:
            nonlocal seen
            await target.candidates(query(small))
            try:
                result = await target.candidates(query(large, dense_limit=10_000))
            except BackendUnavailable as error:
                _check_refusal(error)
                seen += 1
                return False
            assert result.partial or len(result.candidates) == 3_000
            seen += result.partial
            return not result.partial

        await eventually(whole)
        assert seen > 0, "the index filled too fast for this test to say anything"


def _users(cluster: Cluster) -> tuple[Scope, Scope]:
    """A user on the node that holds the schema, and one on another node."""
    home = cluster.node_of("mem:schema")
    users = [Scope(f"user {number}") for number in range(100)]
    nodes = [cluster.node_of(f"{{{user.user_digest}}}") for user in users]
    return users[nodes.index(home)], users[nodes.index((home + 1) % 3)]


# -- large users


def _graphs(server: Server) -> list[bytes]:
    listed = server.ask("FT._LIST")
    assert isinstance(listed, list)
    return sorted(name for name in listed if isinstance(name, bytes) and b"{" in name)


async def _churn(target: ValkeyStore, user: Scope, rounds: int, seed: int) -> int:
    """Grows a user past the threshold and back while searching for what is there. Returns how many searches it made."""
    drawn = random.Random(seed)
    there: dict[int, bool] = {}  # False while a call that adds or deletes it is under way
    searches = 0
    done = asyncio.Event()

    async def search() -> None:
        nonlocal searches
        while not done.is_set():
            known = [number for number, settled in there.items() if settled]
            if not known:
                await asyncio.sleep(0.001)
                continue
            number = drawn.choice(known)
            vector = memory(user, number).vectors[0]
            result = await target.candidates(CandidateQuery(scope=user, vector=vector, dense_limit=5))
            if there.get(number):  # it was not deleted meanwhile
                assert memory(user, number).record.id in {found.record.id for found in result.candidates}
            searches += 1

    async def write() -> None:
        try:
            for round_ in range(rounds):
                first = 10_000 * round_
                for start in range(first, first + 450, 30):
                    await target.add(user, memories(user, 30, start))
                    there.update(dict.fromkeys(range(start, start + 30), True))
                await asyncio.sleep(0.25)  # the graph is made meanwhile, or not
                numbers = list(there)
                for start in range(0, len(numbers), 30):
                    some = numbers[start : start + 30]
                    there.update(dict.fromkeys(some, False))
                    await target.forget(user, [memory(user, number).record.id for number in some])
                    for number in some:
                        del there[number]
        finally:
            done.set()

    await asyncio.gather(write(), search(), search())
    return searches


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.full)])
async def test_no_memory_is_missed_while_a_user_grows_and_shrinks(own_server: OwnServer, rounds: int) -> None:
    """Past `promote_at` a graph is made, below half of it dropped, while searches and writes go on."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=300) as target:
        users = [Scope("alice"), Scope("bob")]
        made = await asyncio.gather(*(_churn(target, user, rounds, seed) for seed, user in enumerate(users)))
        assert min(made) > 0
        await target.settle()
        assert faults_of(server) == []
        await eventually(lambda: _no_graphs(server))


async def _no_graphs(server: Server) -> bool:
    return _graphs(server) == []


async def test_a_large_user_is_promoted_and_found(own_server: OwnServer) -> None:
    """The search says that it is approximate, finds what it should, and a filter goes past the graph."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=300) as target:
        await target.add(HOME, memories(HOME, 300))
        await target.settle()
        assert _graphs(server) == []
        await target.add(HOME, [memory(HOME, 300)])
        await target.settle()
        assert _graphs(server) == [f"mem_idx{{{ALICE.user_digest}}}".encode()]
        result = await target.candidates(query(ALICE, 7, dense_limit=5))
        assert not result.exact
        assert memory(HOME, 7).record.id in {found.record.id for found in result.candidates}
        assert (await target.candidates(query(HOME, 7, dense_limit=5))).exact
        assert (await target.stats()).details["promoted_users"] == 1


async def test_a_large_user_who_is_only_read_gets_a_graph(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though no exact search is in time: else a process that starts would never find anything of that user."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=100_000) as target:
        await target.add(HOME, memories(HOME, 300))
    late = BackendTimeout("late", backend="valkey", operation="candidates")
    async with opened([server.address], promote_at=200) as target:
        with monkeypatch.context() as patch:
            patch.setattr(search.Searcher, "_search", AsyncMock(side_effect=late))
            for _ in range(2):
                with pytest.raises(BackendTimeout):
                    await target.candidates(query(ALICE))
            await target.settle()
        assert not (await target.candidates(query(ALICE))).exact
        target._promotions.suspend(Keys.of("mem:", ALICE))
        monkeypatch.setattr(promotion, "monotonic", lambda: time.monotonic() + 100)  # when that has ended
        with monkeypatch.context() as patch:
            patch.setattr(search.Searcher, "_search", AsyncMock(side_effect=late))
            with pytest.raises(BackendTimeout):
                await target.candidates(query(ALICE))
            await target.settle()
        assert not (await target.candidates(query(ALICE))).exact


async def test_a_large_user_gets_a_graph_when_who_asks_gives_up_first(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request and its search have one deadline, and the request may see it first; to give up early says nothing."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=100_000) as target:
        await target.add(HOME, memories(HOME, 300))
    async with opened([server.address], promote_at=200) as target:
        with monkeypatch.context() as patch:
            patch.setattr(search.Searcher, "_search", lambda *_: asyncio.sleep(PATIENCE))
            for within, looked in ((PATIENCE, False), (0.09, True)):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await target.candidates(query(ALICE), within=within)
                assert bool(target._promotions._looked) is looked
            await target.settle()
        assert not (await target.candidates(query(ALICE))).exact


async def test_an_outage_is_not_logged_for_each_user(own_server: OwnServer, caplog: pytest.LogCaptureFixture) -> None:
    """Whether they are large is asked of a server that does not answer."""
    server = own_server(search=True)
    async with opened([server.address], timeout=0.3) as target:
        users = [Scope(f"user {number}") for number in range(5)]
        for user in users:
            await target.add(user, memories(user, 3))
        server.pause()
        for user in users:
            with pytest.raises(BackendTimeout):
                await target.candidates(query(user), within=0.05)
        await target.settle()
        server.resume()
        assert "index of a large user" not in caplog.text


async def test_few_users_are_looked_at_at_once(own_server: OwnServer) -> None:
    """However many searches were late at the same moment; the others have their turn later."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        users = [Keys.of("mem:", Scope(f"user {number}")) for number in range(20)]
        for user in users:
            target._promotions.missed(user)
        assert len(target._promotions._tasks) == promotion._MOST_LOOKS
        await target.settle()
        for user in users:
            target._promotions.missed(user)
        assert len(target._promotions._tasks) == promotion._MOST_LOOKS
        await target.settle()
        assert len(target._promotions._looked) == 2 * promotion._MOST_LOOKS


async def test_a_small_user_whose_search_is_late_gets_none(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not looked at for each search that is late."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=200) as target:
        await target.add(HOME, memories(HOME, 100))
        late = BackendTimeout("late", backend="valkey", operation="candidates")
        monkeypatch.setattr(search.Searcher, "_search", AsyncMock(side_effect=late))
        command = AsyncMock(wraps=target._connection.command)
        monkeypatch.setattr(target._connection, "command", command)
        for _ in range(3):
            with pytest.raises(BackendTimeout):
                await target.candidates(query(ALICE))
            await target.settle()
        assert [call.args[1] for call in command.call_args_list].count("HGET") == 1
        assert not target._promotions.has_graph(Keys.of("mem:", ALICE))
        assert _graphs(server) == []


async def test_the_number_of_graphs_is_bounded(own_server: OwnServer) -> None:
    """Users that grow at once, in two processes, get no more than `max_promoted`; the others are searched exactly."""
    server = own_server(search=True)
    users = [Scope(f"user {number}") for number in range(8)]
    async with (
        opened([server.address], promote_at=30, max_promoted=3) as one,
        opened([server.address], promote_at=30, max_promoted=3) as other,
    ):
        stores = [one, other]
        await asyncio.gather(*(stores[n % 2].add(user, memories(user, 60)) for n, user in enumerate(users)))
        await asyncio.gather(one.settle(), other.settle())
        assert 1 <= len(_graphs(server)) <= 3
        for target in stores:
            for user in users:
                result = await target.candidates(query(user, dense_limit=100))
                assert {found.record.id for found in result.candidates} == set(ids(memories(user, 60)))
        await asyncio.gather(one.settle(), other.settle())
        assert len(_graphs(server)) <= 3


async def test_a_user_that_shrinks_while_it_is_promoted_keeps_no_graph(own_server: OwnServer) -> None:
    """Else it would hold one of the places of `max_promoted` for ever."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=300, max_promoted=1) as target:
        await target.add(ALICE, memories(ALICE, 400))
        assert await target.forget_scope(ALICE) == 400
        await target.settle()
        await eventually(lambda: _no_graphs(server))


async def test_a_graph_of_a_user_that_is_gone_makes_room(own_server: OwnServer) -> None:
    """A process that ended between the deletion and the drop leaves one; the next large user gets the place."""
    server = own_server(search=True)
    bob = Scope("bob")
    async with opened([server.address], promote_at=30, max_promoted=1) as target:
        await target.add(ALICE, memories(ALICE, 60))
        await target.settle()
        assert len(_graphs(server)) == 1
    async with opened([server.address], promote_at=100_000) as target:  # as a process that is killed: it drops nothing
        await target.forget_scope(ALICE)
    assert len(_graphs(server)) == 1
    async with opened([server.address], promote_at=30, max_promoted=1) as target:
        await target.add(bob, memories(bob, 60))
        await target.settle()
        assert _graphs(server) == [f"mem_idx{{{bob.user_digest}}}".encode()]


async def test_a_graph_that_is_gone_is_no_fault(own_server: OwnServer) -> None:
    """An operator dropped it: the very next search is exact and whole."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=30) as target:
        await target.add(ALICE, memories(ALICE, 60))
        await target.settle()
        await eventually(lambda: _finds(target, 60))
        server.ask("FT.DROPINDEX", _graphs(server)[0])
        result = await target.candidates(query(ALICE, dense_limit=100))
        assert len(result.candidates) == 60
        assert result.exact


async def test_graphs_on_a_cluster_are_made_and_dropped(own_cluster: OwnCluster) -> None:
    """Each on the node of its user."""
    cluster = own_cluster(search=True)
    users = [Scope(f"user {number}") for number in range(6)]
    async with opened(cluster.addresses, cluster=True, promote_at=30) as target:
        await asyncio.gather(*(target.add(user, memories(user, 60)) for user in users))
        await target.settle()
        for user in users:
            result = await target.candidates(query(user, dense_limit=100))
            assert {found.record.id for found in result.candidates} == set(ids(memories(user, 60)))
        assert (await target.stats()).details["promoted_users"] == 6
        for user in users:
            await target.forget_scope(user)
        await target.settle()
        assert (await target.stats()).details["promoted_users"] == 0
