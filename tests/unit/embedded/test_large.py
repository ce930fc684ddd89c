"""One user with very many memories: what a search, an opening and a build cost is bounded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from router_memory.backends.embedded import hnsw
from router_memory.backends.embedded.builder import GraphBuilder
from router_memory.backends.embedded.engine import Engine
from router_memory.backends.embedded.graph import Graph
from router_memory.types import CandidateQuery, CandidateSet, MemoryType, MemoryWrite, Scope
from tests.contract.samples import memory
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ALICE = Scope("alice")
DIMENSION = 32
MANY = 3_000


def _unit(seed: int, count: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _writes(count: int, first: int = 0) -> list[MemoryWrite]:
    """Memories of which every second holds the stem ``tea``."""
    vectors = _unit(first + 1, count)
    return [
        memory(
            ALICE,
            first + index,
            vectors=vectors[index : index + 1],
            stems={"tea" if index % 2 else "pot": 1, f"n{first + index}": 1},
        )
        for index in range(count)
    ]


def _near(writes: list[MemoryWrite], vector: NDArray[np.float32], stem: str, count: int) -> set[str]:
    holding = [write for write in writes if stem in write.document.stems]
    holding.sort(key=lambda write: -float(write.vectors[0] @ vector))
    return {write.record.id for write in holding[:count]}


async def test_of_a_stem_that_very_many_hold_the_nearest_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph proposes them, those newer than it are looked at too."""
    monkeypatch.setattr("router_memory.backends.embedded.large._MANY_HOLD", 500)
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=1_000) as store:
        writes = _writes(MANY)
        await store.add(ALICE, writes)
        await store.settle()
        newer = _writes(50, first=MANY)
        await store.add(ALICE, newer)
        vector = newer[1].vectors[0]
        query = CandidateQuery(scope=ALICE, vector=vector, stems=("tea",), dense_limit=1, lexical_limit=40)
        result = await store.candidates(query)
        found = {candidate.record.id for candidate in result.candidates if "tea" in candidate.document.stems}
        expected = _near([*writes, *newer], vector, "tea", 40)
        assert not result.exact
        assert newer[1].record.id in found
        assert len(found & expected) >= 38


async def test_newer_holders_of_a_stem_do_not_hide_nearer_ones_of_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many that are new and far off hold it; how far the graph is looked through does not depend on them."""
    monkeypatch.setattr("router_memory.backends.embedded.large._MANY_HOLD", 500)
    vector = _unit(77, 1)[0]
    vectors = _unit(1, MANY)
    ranks = np.argsort(np.argsort(-(vectors @ vector)))
    writes = [
        memory(ALICE, index, vectors=vectors[index : index + 1], stems={"tea" if rank >= 1_100 else "pot": 1})
        for index, rank in enumerate(ranks)
    ]
    far = [memory(ALICE, MANY + index, vectors=-vector[np.newaxis], stems={"tea": 1}) for index in range(60)]
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=1_000) as store:
        await store.add(ALICE, writes)
        await store.settle()
        await store.add(ALICE, far)
        query = CandidateQuery(scope=ALICE, vector=vector, stems=("tea",), dense_limit=1, lexical_limit=40)
        result = await store.candidates(query)
    found = {candidate.record.id for candidate in result.candidates if "tea" in candidate.document.stems}
    assert len(found & _near([*writes, *far], vector, "tea", 40)) >= 38


async def test_a_graph_is_looked_through_as_far_as_it_may_before_all_holders_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first look goes so far that four times as far is too much."""
    monkeypatch.setattr("router_memory.backends.embedded.large._MANY_HOLD", 500)
    monkeypatch.setattr("router_memory.backends.embedded.large._FIRST_FETCHED", 600)
    monkeypatch.setattr("router_memory.backends.embedded.large._MOST_FETCHED", 2_000)
    vector, vectors = _unit(77, 1)[0], _unit(1, MANY)
    ranks = np.argsort(np.argsort(-(vectors @ vector)))
    writes = [
        memory(ALICE, index, vectors=vectors[index : index + 1], stems={"tea" if rank >= 1_000 else "pot": 1})
        for index, rank in enumerate(ranks)
    ]
    looks: list[int] = []
    nearest = Graph.nearest

    def noted(self: Graph, of: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        looks.append(count)
        return nearest(self, of, count)

    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=1_000) as store:
        await store.add(ALICE, writes)
        await store.settle()
        monkeypatch.setattr(Graph, "nearest", noted)
        query = CandidateQuery(scope=ALICE, vector=vector, stems=("tea",), dense_limit=1, lexical_limit=40)
        result = await store.candidates(query)
    found = {candidate.record.id for candidate in result.candidates if "tea" in candidate.document.stems}
    assert looks == [2, 600, 2_000]
    assert len(found & _near(writes, vector, "tea", 40)) >= 38


async def test_a_filter_does_not_have_all_memories_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is newer than the graph is found by its numbers, and then asked for its type."""
    monkeypatch.setattr("router_memory.backends.embedded.large._FEW", 10)
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=1_000, readers=1) as store:
        await store.add(ALICE, _writes(MANY))
        await store.settle()
        (connection,) = store._usable("test").connections._searchers
        steps: list[None] = []
        connection.set_progress_handler(lambda: steps.append(None), 10)
        vector = _unit(9, 1)[0]
        query = CandidateQuery(scope=ALICE, vector=vector, dense_limit=5, types=frozenset({MemoryType.SEMANTIC}))
        result = await store.candidates(query)
        connection.set_progress_handler(None, 0)
    assert (len(result.candidates), result.exact) == (5, False)
    assert len(steps) * 10 < MANY


async def test_a_graph_written_to_while_it_is_compared_is_compared_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered is the file as it was before it was read."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        await store.add(ALICE, _writes(1_500))
        await store.settle()
    (file,) = path.with_name(path.name + ".hnsw").glob("*.usearch")
    file.with_suffix(".checked").unlink()
    compared = 0
    checksum = hnsw._checksum

    def overtaken(of: Path) -> str:
        nonlocal compared
        compared += 1
        found = checksum(of)
        os.utime(of, ns=(compared, compared))
        return found

    monkeypatch.setattr(hnsw, "_checksum", overtaken)
    for expected in (1, 2):
        async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
            await store.candidates(CandidateQuery(scope=ALICE, vector=_unit(9, 1)[0]))
            await store.settle()
        assert compared == expected


async def test_a_graph_that_was_compared_with_its_name_once_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it costs the same whatever its size, until somebody writes to the file."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        await store.add(ALICE, _writes(1_500))
        await store.settle()
    (file,) = path.with_name(path.name + ".hnsw").glob("*.usearch")
    read: list[Path] = []
    checksum = hnsw._checksum

    def counted(of: Path) -> str:
        read.append(of)
        return checksum(of)

    monkeypatch.setattr(hnsw, "_checksum", counted)
    query = CandidateQuery(scope=ALICE, vector=_unit(9, 1)[0])
    for expected in ([], [file]):
        async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
            await store.candidates(query)
            await store.settle()
            assert not (await store.candidates(query)).exact
        assert read == expected
        file.write_bytes(file.read_bytes())


async def test_a_long_build_is_of_use_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is announced whenever it has doubled, and searches scan only what it does not hold yet."""
    monkeypatch.setattr("router_memory.backends.embedded.builder._CHUNK", 250)
    announced: list[int] = []
    announce = GraphBuilder._announce

    def noted(self: GraphBuilder, digest: str, user: int, graph: Graph, *rest: Any) -> Any:
        announced.append(len(graph))
        return announce(self, digest, user, graph, *rest)

    monkeypatch.setattr(GraphBuilder, "_announce", noted)
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=400) as store:
        await store.add(ALICE, _writes(MANY))
        await store.settle()
    assert announced == [1_000, 2_000, MANY]


async def test_what_is_decoded_stays_within_its_share(tmp_path: Path) -> None:
    """Users searched long ago lose their decoded memories first, and then are read again."""
    users = [Scope(f"user {number}") for number in range(6)]
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, cache_bytes=12 * 50_000) as store:
        for scope in users:
            await store.add(scope, [memory(scope, seed, vectors=_unit(seed, 1)) for seed in range(10)])
        found = {}
        for scope in users:
            query = CandidateQuery(scope=scope, vector=_unit(3, 1)[0])
            found[scope] = [candidate.record for candidate in (await store.candidates(query)).candidates]
        snapshots = store._usable("test")._snapshots
        assert 20 <= sum(map(len, snapshots._decoded.values())) < 60
        assert snapshots.vectors == 60
        again = await store.candidates(CandidateQuery(scope=users[0], vector=_unit(3, 1)[0]))
        assert [candidate.record for candidate in again.candidates] == found[users[0]]


async def test_what_takes_long_waits_its_turn_and_what_does_not_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a graph it is a filter that leaves few memories, or a stem that many hold and the graph is not asked for."""
    monkeypatch.setattr("router_memory.backends.embedded.large._LOOKED_AT_AT_ONCE", 500)
    turns: list[CandidateQuery] = []
    patiently = Engine._patiently

    async def noted(self: Engine, query: CandidateQuery) -> CandidateSet | None:
        turns.append(query)
        return await patiently(self, query)

    monkeypatch.setattr(Engine, "_patiently", noted)
    vector = _unit(9, 1)[0]
    near = CandidateQuery(scope=ALICE, vector=vector, dense_limit=5)
    rare = CandidateQuery(scope=ALICE, vector=vector, dense_limit=5, stems=("n7",))
    filtered = CandidateQuery(scope=ALICE, vector=vector, dense_limit=5, types=frozenset({MemoryType.SEMANTIC}))
    common = CandidateQuery(scope=ALICE, vector=vector, dense_limit=5, stems=("tea",), lexical_limit=40)
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=1_000) as store:
        await store.add(ALICE, _writes(MANY))
        await store.settle()
        for query in (near, rare, filtered, common):
            assert len((await store.candidates(query)).candidates) >= 5
    assert turns == [filtered, common]


async def test_what_a_graph_does_not_reach_is_found_where_all_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of vectors that threads add at once one in thousands has no way to it; who runs out of others scans."""
    nearest = Graph.nearest
    monkeypatch.setattr(Graph, "nearest", lambda *arguments: nearest(*arguments)[1:])
    async with opened(tmp_path / "memories.db", dimension=DIMENSION, promote_at=50) as store:
        writes = _writes(100)
        await store.add(ALICE, writes)
        await store.settle()
        query = CandidateQuery(scope=ALICE, vector=writes[3].vectors[0], dense_limit=100)
        result = await store.candidates(query)
    assert {candidate.record.id for candidate in result.candidates} == {write.record.id for write in writes}
    assert result.exact
