"""Memories made from a seed, for tests that need no model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from router_memory.types import CandidateQuery, Document, MemoryChange, MemoryRecord, MemoryWrite, Scope, record_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

DIMENSION = 16
FINGERPRINT = "seeded/16/none"
START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def unit_vectors(seed: int, rows: int = 1, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """float32 of shape (rows, dimension), unit norm, the same for the same seed."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


def memory(
    scope: Scope,
    seed: int,
    *,
    stems: Mapping[str, int] | None = None,
    rows: int = 1,
    vectors: NDArray[np.float32] | None = None,
    **fields: Any,
) -> MemoryWrite:
    """A memory whose id, time, content and vectors follow from the seed; `fields` replace the record's."""
    moment = START + timedelta(minutes=seed)
    content = f"memory number {seed}"
    values: dict[str, Any] = {
        "id": record_id(scope, content=content, type="semantic"),
        "scope": scope,
        "content": content,
        "created_at": moment,
        "updated_at": moment,
    }
    held = {"memory": 1, f"n{seed}": 2} if stems is None else dict(stems)
    return MemoryWrite(
        MemoryRecord(**(values | fields)),
        Document(held, sum(held.values())),
        unit_vectors(seed, rows) if vectors is None else vectors,
    )


def memories(scope: Scope, count: int, first: int = 0) -> list[MemoryWrite]:
    """`count` memories with the seeds from `first`."""
    return [memory(scope, seed) for seed in range(first, first + count)]


def change(write: MemoryWrite, **fields: Any) -> MemoryChange:
    """The change that gives a memory this one's text at this one's time; `fields` are set beside it."""
    return MemoryChange(
        at=write.record.updated_at,
        content=write.record.content,
        document=write.document,
        vectors=write.vectors,
        **fields,
    )


def ids(writes: Sequence[MemoryWrite]) -> list[str]:
    """The ids of the records."""
    return [write.record.id for write in writes]


def query(scope: Scope, seed: int | None = 0, **fields: Any) -> CandidateQuery:
    """A query with the vector of the seed; without one, lexical only."""
    vector = None if seed is None else unit_vectors(seed)[0]
    return CandidateQuery(scope=scope, vector=vector, **fields)


def best_cosine(vector: NDArray[np.float32], write: MemoryWrite) -> float:
    """The cosine of a query to the nearest row of a memory."""
    return float(np.max(write.vectors @ vector))
