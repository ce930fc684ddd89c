"""Users past `promote_at`: a graph in a file finds the nearest, and the database stays the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.types import CandidateQuery, CandidateSet, MemoryType, MemoryWrite, Scope
from tests.contract.samples import change, ids, memory
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from router_memory.backends.embedded import EmbeddedStore

ALICE, HOME = Scope("alice"), Scope("alice", "home")
DIMENSION = 48
MANY = 3_000


def _topics(seed: int, count: int) -> NDArray[np.float32]:
    """Unit vectors around 60 topics, as embeddings lie: float32 of shape (count, 48)."""
    drawn = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((60, DIMENSION))
    rows = centres[drawn.integers(0, 60, count)] + 0.8 * drawn.standard_normal((count, DIMENSION))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _writes(scope: Scope, count: int, first: int = 0) -> list[MemoryWrite]:
    vectors = _topics(first + 1, count)
    return [
        memory(
            scope,
            first + index,
            vectors=vectors[index : index + 1],
            conversation_id=f"c{(first + index) // 20}",
            type=MemoryType.EPISODIC if index % 4 == 0 else MemoryType.SEMANTIC,
        )
        for index in range(count)
    ]


async def _promoted(path: Path, writes: list[MemoryWrite], store: EmbeddedStore) -> Path:
    """Stores the memories and waits for the graph; the file of it."""
    for start in range(0, len(writes), 500):
        await store.add(ALICE, writes[start : start + 500])
    await store.settle()
    await store.candidates(_query(_topics(99, 1)[0]))
    await store.settle()
    (file,) = path.with_name(path.name + ".hnsw").glob("*.usearch")
    return file


def _query(vector: NDArray[np.float32], scope: Scope = ALICE, *types: MemoryType, limit: int = 50) -> CandidateQuery:
    return CandidateQuery(scope=scope, vector=vector, dense_limit=limit, types=frozenset(types))


def _recall(result: CandidateSet, vector: NDArray[np.float32], writes: list[MemoryWrite], limit: int = 50) -> float:
    """Share of the truly nearest memories that were found; every cosine is checked on the way."""
    cosines = {write.record.id: float(write.vectors[0] @ vector) for write in writes}
    nearest = set(sorted(cosines, key=lambda name: -cosines[name])[:limit])
    for candidate in result.candidates:
        assert candidate.cosine == pytest.approx(cosines[candidate.record.id], abs=1e-5)
    return len(nearest & {candidate.record.id for candidate in result.candidates}) / len(nearest)


async def _mean_recall(store: EmbeddedStore, writes: list[MemoryWrite], *types: MemoryType, exact: bool) -> float:
    matching = [write for write in writes if not types or write.record.type in types]
    recalls = []
    for vector in _topics(1234, 20):
        result = await store.candidates(_query(vector, ALICE, *types))
        assert result.exact is exact
        recalls.append(_recall(result, vector, matching))
    return float(np.mean(recalls))


async def test_recall_is_that_of_a_full_scan(tmp_path: Path) -> None:
    """At least 98 in 100 of the nearest are found, and the set says that it is approximate."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        writes = _writes(ALICE, MANY)
        await _promoted(path, writes, store)
        assert await _mean_recall(store, writes, exact=False) >= 0.98
        details = (await store.stats()).details
        assert (details["hnsw_users"], details["hnsw_open"]) == (1, 1)


async def test_newer_changed_and_forgotten_memories_are_seen_at_once(tmp_path: Path) -> None:
    """What the graph does not know yet is scanned; what it still holds and is gone is masked."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        writes = _writes(ALICE, MANY)
        await _promoted(path, writes, store)
        newer = _writes(ALICE, 100, first=MANY)
        await store.add(ALICE, newer)
        await store.forget(ALICE, ids(writes[:100]))
        moved = memory(ALICE, 100, id=writes[100].record.id, vectors=_topics(5_000, 1))
        await store.update(ALICE, moved.record.id, change(moved))
        assert await _mean_recall(store, [*writes[101:], moved, *newer], exact=False) >= 0.98
        (nearest,) = (await store.candidates(_query(moved.vectors[0], limit=1))).candidates
        assert nearest.record.id == moved.record.id


async def test_a_filter_does_not_cost_recall(tmp_path: Path) -> None:
    """A type or a project that few memories have still gives its full number of the nearest."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        writes = _writes(ALICE, MANY)
        await _promoted(path, writes, store)
        home = [memory(HOME, 10_000 + seed, vectors=_topics(9_000 + seed, 1)) for seed in range(30)]
        await store.add(HOME, home)
        assert await _mean_recall(store, writes, MemoryType.EPISODIC, exact=True) == 1.0
        vector = _topics(77, 1)[0]
        assert _recall(await store.candidates(_query(vector, HOME)), vector, home) == 1.0


async def test_a_wide_filter_is_answered_by_fetching_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a scan of what matches would be long, the graph is asked for more than is wanted."""
    monkeypatch.setattr("router_memory.backends.embedded.large._FEW", 10)
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        writes = _writes(ALICE, MANY)
        await _promoted(path, writes, store)
        assert await _mean_recall(store, writes, MemoryType.EPISODIC, exact=False) >= 0.98


@pytest.mark.parametrize("damage", ["missing", "corrupt", "truncated", "empty"])
async def test_a_lost_graph_is_made_anew(tmp_path: Path, damage: str) -> None:
    """Searches are exact meanwhile; the caller never sees an error."""
    path = tmp_path / "memories.db"
    writes = _writes(ALICE, 1_500)
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        file = await _promoted(path, writes, store)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes({"corrupt": bytes(content), "truncated": bytes(content[:999])}.get(damage, b""))
    if damage == "missing":
        file.unlink()
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        vector = _topics(3, 1)[0]
        first = await store.candidates(_query(vector))
        assert first.exact
        assert _recall(first, vector, writes) == 1.0
        await store.settle()
        again = await store.candidates(_query(vector))
        assert not again.exact
        assert _recall(again, vector, writes) >= 0.98


async def test_a_good_graph_is_opened_and_not_rebuilt(tmp_path: Path) -> None:
    """After a restart the same file serves."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        file = await _promoted(path, _writes(ALICE, 1_500), store)
    before = file.stat().st_mtime_ns
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        await store.candidates(_query(_topics(3, 1)[0]))
        await store.settle()
        assert not (await store.candidates(_query(_topics(3, 1)[0]))).exact
    assert file.stat().st_mtime_ns == before


async def test_many_newer_memories_are_absorbed(tmp_path: Path) -> None:
    """A graph that is far behind is replaced by one that is not, and the old file goes."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        old = await _promoted(path, _writes(ALICE, 1_500), store)
        await store.add(ALICE, _writes(ALICE, 1_200, first=5_000))
        await store.settle()
        (new,) = old.parent.glob("*.usearch")
        assert new != old


async def test_a_forgotten_user_leaves_no_graph(tmp_path: Path) -> None:
    """The file holds vectors, so it goes with the memories."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        file = await _promoted(path, _writes(ALICE, 1_500), store)
        assert await store.forget_scope(ALICE) == 1_500
        await store.settle()
        assert list(file.parent.iterdir()) == []


async def test_closing_does_not_wait_for_a_graph_to_be_finished(tmp_path: Path) -> None:
    """A build under way is dropped, and the next run begins it again."""
    path = tmp_path / "memories.db"
    writes = _writes(ALICE, MANY)
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        await store.add(ALICE, writes)
    async with opened(path, dimension=DIMENSION, promote_at=1_000) as store:
        vector = _topics(3, 1)[0]
        assert _recall(await store.candidates(_query(vector)), vector, writes) >= 0.98
