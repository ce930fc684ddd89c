"""Vectors in half precision: what is stored, what comes back, and files of before."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.backends.embedded.records import HALVES_FROM, decode_vectors, encode_vectors
from router_memory.backends.embedded.translate import Damaged
from router_memory.types import CandidateQuery, MemoryWrite, Scope
from tests.contract.samples import change, memory
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from router_memory.backends.embedded import EmbeddedStore

ALICE = Scope("alice")
WIDE = 384
AGREEMENT = 1e-4
"""Of two stores on one cosine, see tests/congruence."""


def _unit(seed: int, count: int, dimension: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _writes(count: int, dimension: int = WIDE, first: int = 0) -> list[MemoryWrite]:
    vectors = _unit(first, count, dimension)
    return [memory(ALICE, first + index, vectors=vectors[index : index + 1]) for index in range(count)]


def _lengths(path: Path) -> set[int]:
    connection = sqlite3.connect(path)
    found = {row[0] for row in connection.execute("SELECT length(vector) FROM vectors")}
    connection.close()
    return found


def _to_schema_1(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()


async def _check_cosines(store: EmbeddedStore, writes: list[MemoryWrite]) -> None:
    vector = writes[0].vectors[0]
    expected = {write.record.id: float(write.vectors[0] @ vector) for write in writes}
    result = await store.candidates(CandidateQuery(scope=ALICE, vector=vector, dense_limit=1_000))
    assert {candidate.record.id for candidate in result.candidates} == set(expected)
    for candidate in result.candidates:
        assert candidate.cosine == pytest.approx(expected[candidate.record.id], abs=AGREEMENT)


@pytest.mark.parametrize("options", [{}, {"cache_bytes": 0}, {"promote_at": 10}], ids=["snapshot", "database", "graph"])
async def test_wide_vectors_take_half_the_bytes_and_keep_their_cosines(tmp_path: Path, options: dict[str, int]) -> None:
    """A cosine stays within what stores agree to, however it is searched."""
    path, writes = tmp_path / "memories.db", _writes(200)
    async with opened(path, dimension=WIDE, **options) as store:
        await store.add(ALICE, writes)
        await store.settle()
        await _check_cosines(store, writes)
    assert _lengths(path) == {2 * WIDE}


async def test_narrow_vectors_stay_whole(tmp_path: Path) -> None:
    """Few components do not average the rounding out."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=HALVES_FROM - 1) as store:
        await store.add(ALICE, _writes(3, HALVES_FROM - 1))
    assert _lengths(path) == {4 * (HALVES_FROM - 1)}


async def test_a_file_of_schema_1_stays_readable_for_who_made_it(tmp_path: Path) -> None:
    """It is searched, and what is written to it is float32."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=WIDE):
        pass
    _to_schema_1(path)
    async with opened(path, dimension=WIDE) as store:
        writes = _writes(20)
        await store.add(ALICE, writes)
        replaced = memory(ALICE, 50, id=writes[3].record.id, vectors=_unit(50, 1, WIDE))
        await store.update(ALICE, replaced.record.id, change(replaced))
        await _check_cosines(store, [*writes[:3], *writes[4:], replaced])
    assert _lengths(path) == {4 * WIDE}


async def test_rows_of_both_kinds_are_read_together(tmp_path: Path) -> None:
    """The length of each says what it is."""
    path = tmp_path / "memories.db"
    async with opened(path, dimension=WIDE) as store:
        writes = _writes(10)
        await store.add(ALICE, writes)
    whole = writes[4].vectors.astype("<f4").tobytes()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE vectors SET vector = ? WHERE user = 1 AND number = 5", (whole,))
    connection.close()
    async with opened(path, dimension=WIDE) as store:
        await _check_cosines(store, writes)


def test_half_a_narrow_vector_is_damage() -> None:
    """It is not taken for one in half precision."""
    (blob,) = encode_vectors(_unit(1, 1, 8), halves=True)
    with pytest.raises(Damaged):
        decode_vectors([blob[:16]], 8)
