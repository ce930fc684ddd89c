"""What searches use while a graph is made: never less than before."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.embedded.builder import GraphBuilder
from router_memory.backends.embedded.graph import Graph
from router_memory.types import CandidateQuery, Scope
from tests.contract.samples import ids, memories, unit_vectors
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

ALICE = Scope("alice")
MANY, PROMOTE_AT = 1_200, 200
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router_memory.backends.embedded.builder._CHUNK", 100)


def _query() -> CandidateQuery:
    return CandidateQuery(scope=ALICE, vector=unit_vectors(7, 1)[0])


def _announced(path: Path) -> tuple[str, int]:
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT index_checksum, index_watermark FROM users")
    connection.close()
    return str(found[0]), int(found[1])


async def test_a_rebuild_replaces_a_graph_by_a_whole_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half of it would have searches scan the other half, which the graph with its dead had."""
    announced: list[int] = []
    announce = GraphBuilder._announce

    def noted(self: GraphBuilder, digest: str, user: int, graph: Graph, *rest: Any) -> Any:
        announced.append(len(graph))
        return announce(self, digest, user, graph, *rest)

    async with opened(tmp_path / "memories.db", promote_at=PROMOTE_AT) as store:
        writes = memories(ALICE, MANY)
        await store.add(ALICE, writes)
        await store.settle()
        monkeypatch.setattr(GraphBuilder, "_announce", noted)
        await store.forget(ALICE, ids(writes[:200]))
        await store.settle()
    assert announced == [MANY - 200]


async def test_a_graph_of_another_process_that_holds_more_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two begin at once; the slower one's half does not take the place of the other's whole, and it takes that over."""
    path = tmp_path / "memories.db"
    begun, gate = threading.Event(), threading.Event()
    announce = GraphBuilder._announce
    slower: list[GraphBuilder] = []

    def held_back(self: GraphBuilder, *arguments: Any) -> Any:
        if self in slower:
            begun.set()
            assert gate.wait(PATIENCE)
        return announce(self, *arguments)

    monkeypatch.setattr(GraphBuilder, "_announce", held_back)
    async with opened(path, promote_at=PROMOTE_AT) as slow, opened(path, promote_at=PROMOTE_AT) as fast:
        slower.append(slow._usable("test").builder)
        await slow.add(ALICE, memories(ALICE, MANY))
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        await fast.candidates(_query())
        await fast.settle()
        whole = _announced(path)
        assert whole[1] == MANY
        gate.set()
        await slow.settle()
        assert _announced(path) == whole
        assert len(list(path.with_name(path.name + ".hnsw").glob("*.usearch"))) == 1
        await slow.candidates(_query())
        await slow.settle()
        assert not (await slow.candidates(_query())).exact
        assert _announced(path) == whole


async def test_a_graph_that_is_behind_is_searched_until_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also right after the store was opened: only what is newer is scanned."""
    path = tmp_path / "memories.db"
    async with opened(path, promote_at=PROMOTE_AT) as store:
        await store.add(ALICE, memories(ALICE, MANY))
        await store.settle()
    async with opened(path, promote_at=100_000) as store:
        await store.add(ALICE, memories(ALICE, MANY, first=MANY))
    begun, gate = threading.Event(), threading.Event()
    add = Graph.add

    def held_back(self: Graph, *arguments: Any, **options: Any) -> None:
        begun.set()
        assert gate.wait(PATIENCE)
        add(self, *arguments, **options)

    monkeypatch.setattr(Graph, "add", held_back)
    async with opened(path, promote_at=PROMOTE_AT) as store:
        await store.candidates(_query())
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        assert not (await store.candidates(_query())).exact
        gate.set()
        await store.settle()
    assert _announced(path)[1] == 2 * MANY


async def test_an_unfinished_build_goes_on_where_it_was_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ended in the middle loses what came after, and searches find everything all the while."""
    path = tmp_path / "memories.db"
    announce = GraphBuilder._announce

    def ended(self: GraphBuilder, *arguments: Any) -> Any:
        announce(self, *arguments)
        self._stop.set()

    with monkeypatch.context() as ending:
        ending.setattr(GraphBuilder, "_announce", ended)
        async with opened(path, promote_at=PROMOTE_AT) as store:
            await store.add(ALICE, memories(ALICE, MANY))
            await store.settle()
    assert _announced(path)[1] == 2 * PROMOTE_AT
    monkeypatch.setattr("router_memory.backends.embedded.builder._LEAST_TAIL", 100)
    begun: list[int] = []
    add = Graph.add

    def noted(self: Graph, *arguments: Any, **options: Any) -> None:
        begun.append(len(self))
        add(self, *arguments, **options)

    monkeypatch.setattr(Graph, "add", noted)
    last = CandidateQuery(scope=ALICE, vector=unit_vectors(MANY - 1, 1)[0], dense_limit=1)
    async with opened(path, promote_at=PROMOTE_AT) as store:
        for _ in range(2):
            (nearest,) = (await store.candidates(last)).candidates
            assert nearest.record.id == ids(memories(ALICE, 1, first=MANY - 1))[0]
            await store.settle()
    assert begun[0] == 2 * PROMOTE_AT
    assert _announced(path)[1] == MANY
