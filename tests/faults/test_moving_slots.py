"""Slots that move from node to node while a user is searched for: what is missed is never passed off as not there."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.errors import BackendError
from router_memory.types import MemoryType, Scope
from tests.contract.samples import ids, memories, query
from tests.faults.stores import PATIENCE, eventually
from tests.servers.cluster import slot
from tests.servers.stores import store_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router_memory.backends.valkey import ValkeyStore
    from router_memory.types import CandidateQuery
    from tests.servers.cluster import Cluster

ALICE = Scope("alice")
HOME = Scope("alice", "home")
COUNT = 6

QUERIES: dict[str, CandidateQuery] = {
    "dense": query(ALICE, dense_limit=100),
    "with project": query(HOME, dense_limit=100),
    "with types": query(ALICE, types=frozenset({MemoryType.SEMANTIC}), dense_limit=100),
    "stems alone": query(ALICE, None, stems=("memory",), lexical_limit=100),
    "both channels": query(HOME, 1, stems=("memory",), dense_limit=100, lexical_limit=100),
}


class Move:
    """Moves of a user's slot from its node to another one and back, key by key."""

    def __init__(self, cluster: Cluster) -> None:
        keys = f"{{{HOME.user_digest}}}"
        home = cluster.node_of(keys)
        self._cluster = cluster
        self._slot = str(slot(keys))
        self._source, self._target = cluster.nodes[home], cluster.nodes[(home + 1) % cluster.primaries]
        self._under_way = False
        self._away = False

    def put_back(self) -> None:
        """Ends what is under way, and leaves the slot where it was at first."""
        if self._under_way:
            self.end()
        if self._away:
            self.begin()
            self.end()

    def _names(self) -> tuple[bytes, bytes]:
        names = self._source.ask("CLUSTER", "MYID"), self._target.ask("CLUSTER", "MYID")
        assert isinstance(names[0], bytes)
        assert isinstance(names[1], bytes)
        return names[0], names[1]

    def begin(self) -> None:
        """From now on the source sends those who ask for a key that it lacks to the target."""
        source, target = self._names()
        self._target.ask("CLUSTER", "SETSLOT", self._slot, "IMPORTING", source)
        self._source.ask("CLUSTER", "SETSLOT", self._slot, "MIGRATING", target)
        self._under_way = True

    def steps(self, *, first: bytes = b"") -> Iterator[bytes]:
        """Moves one key after the other, those that hold `first` in their name before the others."""
        found = self._source.ask("CLUSTER", "GETKEYSINSLOT", self._slot, "10000")
        assert isinstance(found, list)
        for key in sorted((key for key in found if isinstance(key, bytes)), key=lambda key: (first not in key, key)):
            self._source.ask("MIGRATE", self._target.host, str(self._target.port), "", "0", "5000", "KEYS", key)
            yield key

    def end(self) -> None:
        """The rest goes, too, and the target owns the slot; waits until every node knows."""
        for _ in self.steps():
            pass
        _, target = self._names()
        for node in (self._target, self._source):
            node.ask("CLUSTER", "SETSLOT", self._slot, "NODE", target)
        until = time.monotonic() + PATIENCE
        while not all(self._owner(number) == target for number in range(len(self._cluster.nodes))):
            assert time.monotonic() < until, "the nodes do not agree"
            time.sleep(0.01)
        self._source, self._target = self._target, self._source
        self._under_way, self._away = False, not self._away

    def _owner(self, number: int) -> bytes:
        ranges = self._cluster.nodes[number].ask("CLUSTER", "SLOTS")
        assert isinstance(ranges, list)
        for low, high, node, *_ in (part for part in ranges if isinstance(part, list)):
            assert isinstance(low, int)
            assert isinstance(high, int)
            if low <= int(self._slot) <= high and isinstance(node, list) and isinstance(node[2], bytes):
                return node[2]
        return b""


@pytest.fixture
def move(search_cluster: Cluster) -> Iterator[Move]:
    """Other tests find the slot where they expect it."""
    made = Move(search_cluster)
    yield made
    made.put_back()


async def _is_right(target: ValkeyStore, asked: CandidateQuery, epoch: str, expected: set[str]) -> bool:
    """Whether a search found everything; what it lacked it must own up to. Nothing is written meanwhile."""
    try:
        result = await target.candidates(asked, within=0.1)
    except BackendError:
        return False
    found = {candidate.record.id for candidate in result.candidates}
    assert found <= expected
    if found != expected:
        assert result.partial or result.epoch != epoch, f"{len(found)} of {len(expected)} under the current epoch"
    return found == expected and result.epoch == epoch


@pytest.mark.parametrize("first", [b":{", b"}:"], ids=["statistics first", "memories first"])
async def test_a_search_while_a_slot_moves(search_cluster: Cluster, move: Move, first: bytes) -> None:
    """After every single key: each kind of search is whole, or says that it is not."""
    async with store_on(search_cluster.addresses, cluster=True) as target:
        expected = memories(HOME, COUNT)
        await target.add(HOME, expected)
        epoch = (await target.statistics(HOME, ())).epoch
        wanted = set(ids(expected))

        async def whole() -> bool:
            return all([await _is_right(target, asked, epoch, wanted) for asked in QUERIES.values()])

        await eventually(whole)
        for _ in range(2):  # there and back
            move.begin()
            for _ in move.steps(first=first):
                await whole()
            move.end()
            await whole()  # the client has not noticed yet
            await eventually(whole)


@pytest.mark.parametrize("promote_at", [100_000, 5], ids=["exact", "graph"])
@pytest.mark.parametrize("stems", [(), ("memory",)], ids=["dense", "both channels"])
async def test_keys_that_leave_between_the_commands_of_a_search(
    search_cluster: Cluster, move: Move, monkeypatch: pytest.MonkeyPatch, promote_at: int, stems: tuple[str, ...]
) -> None:
    """What was whole when it was asked about, and is short when it is searched, is not passed off as whole."""
    async with store_on(search_cluster.addresses, cluster=True, promote_at=promote_at) as target:
        await target.add(HOME, memories(HOME, COUNT))
        epoch = (await target.statistics(HOME, ())).epoch
        asked = query(ALICE, dense_limit=100, stems=stems, lexical_limit=100)

        async def ready() -> bool:
            result = await target.candidates(asked)
            await target.settle()
            return result.epoch == epoch and result.exact == (promote_at > COUNT)

        await eventually(ready)
        move.begin()
        steps = move.steps(first=b"}:")
        pipeline = target._connection.pipeline
        left = 0

        async def one_by_one(operation: str, commands: Sequence[Sequence[Any]], **options: Any) -> list[Any]:
            nonlocal left
            replies: list[Any] = []
            for command in commands:
                if any("[KNN" in str(argument) for argument in command) and left < COUNT:
                    for _ in range(COUNT // 2):
                        left += b"}:" in next(steps)
                replies += await pipeline(operation, [command], **options)
            return replies

        monkeypatch.setattr(target._connection, "pipeline", one_by_one)
        try:
            result = await target.candidates(asked)
        except BackendError:
            return
        finally:
            assert left >= COUNT // 2
        assert result.partial or result.epoch != epoch


@pytest.mark.full
@pytest.mark.parametrize("promote_at", [100_000, 20], ids=["exact", "graph"])
async def test_searches_that_race_with_a_slot_that_moves(search_cluster: Cluster, move: Move, promote_at: int) -> None:
    """The keys leave between the commands of one search as well."""
    async with store_on(search_cluster.addresses, cluster=True, promote_at=promote_at) as target:
        expected = memories(HOME, 100)
        await target.add(HOME, expected)
        epoch = (await target.statistics(HOME, ())).epoch
        wanted = set(ids(expected))
        asked = [replace(each, dense_limit=1_000, lexical_limit=1_000) for each in QUERIES.values()]

        async def whole() -> bool:
            return all([await _is_right(target, each, epoch, wanted) for each in asked])

        await eventually(whole)
        await target.settle()
        done = asyncio.Event()

        async def search(each: CandidateQuery) -> int:
            short = 0
            while not done.is_set():
                short += not await _is_right(target, each, epoch, wanted)
            return short

        searching = [asyncio.create_task(search(each)) for each in asked for _ in range(2)]
        try:
            for first in (b"}:", b":{"):
                move.begin()
                for _ in move.steps(first=first):
                    await asyncio.sleep(0.002)
                await asyncio.to_thread(move.end)
                await asyncio.sleep(0.5)
        finally:
            done.set()
        assert min(await asyncio.gather(*searching)) > 0, "no search met the move"
        await eventually(whole)
