"""How a user with a graph is read: the graph is asked where it can answer, and a vector is read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.backends.embedded.dots import dots, top_owners
from router_memory.backends.embedded.graph import Graph
from router_memory.types import CandidateQuery, Scope
from tests.contract.samples import memory, unit_vectors
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

ALICE = Scope("alice")
MANY, HOLDERS = 1_500, 150


async def test_the_graph_is_not_asked_for_holders_of_a_stem_that_it_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,500, 40 that one in ten holds are not among the 500 nearest: all that hold it are compared instead."""
    monkeypatch.setattr("router_memory.backends.embedded.large._MANY_HOLD", HOLDERS - 1)
    monkeypatch.setattr("router_memory.backends.embedded.large._FIRST_FETCHED", 100)
    monkeypatch.setattr("router_memory.backends.embedded.large._MOST_FETCHED", 500)
    writes = [memory(ALICE, seed, stems={"pot" if seed % 10 else "tea": 1}) for seed in range(MANY)]
    vector = unit_vectors(9_999)[0]
    asked: list[int] = []
    nearest = Graph.nearest

    def noted(self: Graph, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        asked.append(count)
        return nearest(self, vector, count)

    async with opened(tmp_path / "memories.db", promote_at=1_000) as store:
        await store.add(ALICE, writes)
        await store.settle()
        monkeypatch.setattr(Graph, "nearest", noted)
        query = CandidateQuery(scope=ALICE, vector=vector, stems=("tea",), dense_limit=1, lexical_limit=40)
        result = await store.candidates(query)
        assert asked == [2]
        asked.clear()
        query = CandidateQuery(scope=ALICE, vector=vector, stems=("pot",), dense_limit=1, lexical_limit=40)
        await store.candidates(query)
        assert asked == [2, 100]
    holding = sorted(
        (write for write in writes if "tea" in write.document.stems),
        key=lambda write: -float(write.vectors[0] @ vector),
    )
    found = {candidate.record.id for candidate in result.candidates if "tea" in candidate.document.stems}
    assert {write.record.id for write in holding[:40]} <= found


async def test_of_several_vectors_the_nearest_counts_whichever_the_graph_proposes(tmp_path: Path) -> None:
    """A memory's cosine is the greatest of its parts'."""
    writes = [memory(ALICE, seed, rows=1 + seed % 3) for seed in range(60)]
    vector = unit_vectors(9_999)[0]
    async with opened(tmp_path / "memories.db", promote_at=0) as store:
        await store.add(ALICE, writes)
        await store.settle()
        result = await store.candidates(CandidateQuery(scope=ALICE, vector=vector, stems=("memory",), dense_limit=20))
    expected = {write.record.id: float(np.max(write.vectors @ vector)) for write in writes}
    assert len(result.candidates) >= 20
    assert all(abs(one.cosine - expected[one.record.id]) < 1e-6 for one in result.candidates)


def test_inner_products_are_those_of_the_rows() -> None:
    """None for no rows."""
    rows, vector = unit_vectors(1, 7), unit_vectors(2)[0]
    assert np.allclose(dots(rows, vector), [float(row @ vector) for row in rows], atol=1e-6)
    assert dots(rows[:0], vector).shape == (0,)


def test_an_owner_of_many_great_scores_is_one() -> None:
    """The others follow, however far behind."""
    owners = np.array([1] * 50 + [2, 3, 4], np.int64)
    scores = np.array([0.9] * 50 + [0.1, 0.3, 0.2], np.float32)
    assert top_owners(owners, scores, 3) == [1, 3, 4]
    assert top_owners(owners, scores, 10) == [1, 3, 4, 2]
