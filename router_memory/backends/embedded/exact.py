"""The candidates of a query from a snapshot: every vector is looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router_memory.backends.embedded.records import check_owner
from router_memory.backends.embedded.translate import Damaged
from router_memory.types import Candidate, CandidateQuery, CandidateSet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from router_memory.backends.embedded.snapshot import Snapshot

__all__ = ["search_snapshot"]

_Indices = NDArray[np.int64]


def search_snapshot(
    connection: sqlite3.Connection,
    snapshot: Snapshot,
    query: CandidateQuery,
    project: int | None,
    holding: Sequence[int],
) -> CandidateSet:
    """The nearest memories united with those that hold one of the query's stems.

    Args:
        connection: Inside a transaction that sees the snapshot's epoch.
        snapshot: The user's memories.
        query: What is looked for.
        project: Key of the scope's project, ``None`` for all.
        holding: Numbers of the records that hold a stem, ascending.
    """
    cosines = None if query.vector is None else snapshot.cosines(query.vector)
    mask = snapshot.mask(project, frozenset(member.value for member in query.types))
    lexical = _lexical(snapshot, query, holding, mask, cosines)
    dense = _dense(query, mask, cosines)
    chosen = np.zeros(len(snapshot), np.bool_)
    chosen[dense] = chosen[lexical] = True
    return _collect(connection, snapshot, query, np.flatnonzero(chosen), cosines)


def _lexical(
    snapshot: Snapshot,
    query: CandidateQuery,
    holding: Sequence[int],
    mask: NDArray[np.bool_] | None,
    cosines: NDArray[np.float32] | None,
) -> _Indices:
    found: _Indices = np.searchsorted(snapshot.numbers, holding)
    if not np.array_equal(snapshot.numbers.take(found, mode="clip"), holding):
        raise Damaged("a stem is held by a memory that is not there")
    if mask is not None:
        found = found[mask[found]]
    limit = query.lexical_limit
    if len(found) <= limit:
        return found
    if cosines is None:
        return found[:limit]
    return found[np.argpartition(-cosines[found], limit - 1)[:limit]]


def _dense(query: CandidateQuery, mask: NDArray[np.bool_] | None, cosines: NDArray[np.float32] | None) -> _Indices:
    if cosines is None:
        return np.empty(0, np.int64)
    limit = query.dense_limit
    allowed = np.arange(len(cosines)) if mask is None else np.flatnonzero(mask)
    if len(allowed) <= limit:
        return allowed
    scores = cosines if mask is None else cosines[allowed]
    return allowed[np.argpartition(-scores, limit - 1)[:limit]]


def _collect(
    connection: sqlite3.Connection,
    snapshot: Snapshot,
    query: CandidateQuery,
    chosen: _Indices,
    cosines: NDArray[np.float32] | None,
) -> CandidateSet:
    memories = snapshot.memories(connection, chosen)
    near = [math.nan] * len(memories) if cosines is None else cosines[chosen].tolist()
    parts = snapshot.parts[chosen].tolist()
    return CandidateSet(
        epoch=snapshot.state.epoch,
        candidates=tuple(
            [
                Candidate(check_owner(record, query.scope), document, cosine, count)
                for (record, document), cosine, count in zip(memories, near, parts, strict=True)
            ]
        ),
    )
