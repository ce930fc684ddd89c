"""The candidates of a user too large to be held in memory: an HNSW graph finds numbers, the database gives the rest.

Every cosine that leaves here is computed from the stored vectors; the graph only proposes.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from router_memory.backends.embedded.dots import dots, top_owners
from router_memory.backends.embedded.kinds import has_kinds
from router_memory.backends.embedded.owners import UserState, find_project
from router_memory.backends.embedded.postings import document_frequencies, records_holding
from router_memory.backends.embedded.reads import owned, tally, type_names
from router_memory.backends.embedded.records import MemoryRow, decode_document, decode_vectors
from router_memory.types import Candidate, CandidateQuery, CandidateSet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from router_memory.backends.embedded.graph import Graph

__all__ = ["TakesLong", "search_database"]

_FETCH = 2_048
_FEW = 4_096
"""A filter that leaves no more memories than this is answered by a scan of just those."""
_OVERFETCH = 2
_FIRST_FETCHED, _MOST_FETCHED = 1_024, 4_096
_MANY_HOLD = 2_000
"""Where more memories than this hold a stem, not each is compared with the question: of a million, that is slow."""
_LOOKED_AT_AT_ONCE = 20_000
"""So many rows may be looked at by whoever asks: more of them take longer than others should wait for a reader."""

_Integers = NDArray[np.int64]

_SCAN = """
SELECT number, record, vector FROM vectors WHERE user = ?1 AND number > ?2
"""
_SCAN_FILTERED = """
SELECT v.number, v.record, v.vector FROM records r CROSS JOIN vectors v
  ON v.user = r.user AND v.number BETWEEN r.vector_first AND r.vector_first + r.vector_count - 1
WHERE r.user = ?1 AND v.number > ?2
  AND (?3 IS NULL OR r.project = ?3) AND (?4 IS NULL OR r.type IN (SELECT value FROM json_each(?4)))
"""
_SCAN_KINDS = """
SELECT v.number, v.record, v.vector
FROM tallies t CROSS JOIN records r INDEXED BY records_by_kind
  ON r.user = t.user AND r.project = t.project AND r.type = t.type
  CROSS JOIN vectors v ON v.user = r.user AND v.number BETWEEN r.vector_first AND r.vector_first + r.vector_count - 1
WHERE t.user = ?1 AND v.number > ?2
  AND (?3 IS NULL OR t.project = ?3) AND (?4 IS NULL OR t.type IN (SELECT value FROM json_each(?4)))
"""
_NEWER_FILTERED = """
SELECT v.number, v.record, v.vector FROM vectors v CROSS JOIN records r ON r.user = v.user AND r.number = v.record
WHERE v.user = ?1 AND v.number > ?2
  AND (?3 IS NULL OR r.project = ?3) AND (?4 IS NULL OR r.type IN (SELECT value FROM json_each(?4)))
"""
_PROPOSED = """
SELECT v.record, r.vector_count, v.vector
FROM json_each(?2) q CROSS JOIN vectors v ON v.user = ?1 AND v.number = q.value
  CROSS JOIN records r ON r.user = v.user AND r.number = v.record
WHERE (?3 IS NULL OR r.project = ?3) AND (?4 IS NULL OR r.type IN (SELECT value FROM json_each(?4)))
  AND (?5 IS NULL OR EXISTS (
    SELECT 1 FROM json_each(?5) s CROSS JOIN postings p ON p.user = ?1 AND p.stem = s.value AND p.record = v.record))
"""
_ALLOWED = """
SELECT r.number FROM json_each(?2) q CROSS JOIN records r ON r.user = ?1 AND r.number = q.value
WHERE (?3 IS NULL OR r.project = ?3) AND (?4 IS NULL OR r.type IN (SELECT value FROM json_each(?4)))
ORDER BY r.number
"""
_NEWER_HOLDING = """
SELECT v.record FROM vectors v WHERE v.user = ?1 AND v.number > ?2 AND EXISTS (
  SELECT 1 FROM json_each(?3) s CROSS JOIN postings p ON p.user = ?1 AND p.stem = s.value AND p.record = v.record)
"""
_VECTORS = """
SELECT v.record, v.vector FROM json_each(?2) q CROSS JOIN records r ON r.user = ?1 AND r.number = q.value
  CROSS JOIN vectors v ON v.user = r.user
    AND v.number BETWEEN r.vector_first AND r.vector_first + r.vector_count - 1
"""
_ROWS = """
SELECT m.* FROM json_each(?2) q CROSS JOIN memories m ON m.user = ?1 AND m.number = q.value
"""


class TakesLong(Exception):
    """Very many rows would have to be looked at, and the caller is not patient."""


class _Search(NamedTuple):
    """One search inside one read transaction."""

    connection: sqlite3.Connection
    state: UserState
    query: CandidateQuery
    project: int | None
    types: str | None
    patient: bool
    cosines: dict[int, float]
    """Of records whose only vector was looked at so far."""

    @property
    def filtered(self) -> bool:
        return self.project is not None or self.types is not None

    @property
    def matching(self) -> int:
        """How many memories the filter leaves."""
        if not self.filtered:
            return self.state.documents
        return tally(self.connection, self.state.key, self.project, self.types)

    def begin(self, rows: int) -> None:
        """Raises `TakesLong` where so many rows are too many."""
        if rows > _LOOKED_AT_AT_ONCE and not self.patient:
            raise TakesLong


def search_database(
    connection: sqlite3.Connection, state: UserState, query: CandidateQuery, graph: Graph | None, *, patient: bool
) -> CandidateSet:
    """The nearest memories united with those that hold one of the query's stems.

    Args:
        connection: Inside the transaction that read `state`.
        state: The user.
        query: What is looked for.
        graph: The user's HNSW graph; ``None`` scans every vector.
        patient: Whether it may take long.

    Raises:
        TakesLong: It would, and may not.
    """
    project = find_project(connection, query.scope, state.key)
    search = _Search(connection, state, query, project, type_names(query.types), patient, {})
    dense, exact = _dense(search, graph)
    holding, all_of_them = _holding(search, graph)
    cosines = search.cosines | _cosines(search, {*dense, *holding} - search.cosines.keys())
    chosen = {*_nearest(dense, cosines, query.dense_limit), *_nearest(holding, cosines, query.lexical_limit)}
    return _collect(search, chosen, cosines, exact=exact and all_of_them)


def _nearest(numbers: Sequence[int], cosines: dict[int, float], limit: int) -> Sequence[int]:
    """The `limit` nearest; without a query vector, the first."""
    if len(numbers) <= limit:
        return numbers
    return sorted(numbers, key=lambda number: -cosines.get(number, 0.0))[:limit]


def _dense(search: _Search, graph: Graph | None) -> tuple[list[int], bool]:
    """Numbers of records among which the nearest are, and whether that is certain."""
    vector = search.query.vector
    if vector is None:
        return [], True
    limit, total = search.query.dense_limit, search.state.documents
    matching = search.matching
    if graph is None or (search.filtered and matching <= _FEW) or limit > _MOST_FETCHED // _OVERFETCH:
        return _scan(search, vector, after=0), True
    newer = _scan(search, vector, after=graph.watermark)
    wanted = min(limit, matching)
    fetch = int(wanted * _OVERFETCH * total / max(1, matching))
    while fetch <= _MOST_FETCHED:
        proposed = _proposed(search, vector, graph.nearest(vector, fetch))
        found = list(dict.fromkeys([*proposed, *newer]))
        if len(proposed) >= wanted or (fetch >= len(graph) and len(found) >= wanted):
            return found, False
        if fetch >= len(graph):
            break  # a graph may not reach all that it holds
        fetch *= 2
    return _scan(search, vector, after=0), True


def _proposed(
    search: _Search, vector: NDArray[np.float32], vectors: _Integers, stems: Sequence[str] | None = None
) -> list[int]:
    """The records that vectors belong to, those gone since and those filtered out left away.

    Of records that have no other vector the cosine is known then, and need not be read again.

    Args:
        search: The search.
        vector: The question's.
        vectors: Numbers of vectors, nearest first.
        stems: Records that hold none of them are left away too; ``None`` for all.
    """
    holding = None if stems is None else json.dumps(stems)
    arguments = (search.state.key, json.dumps(vectors.tolist()), search.project, search.types, holding)
    rows = search.connection.execute(_PROPOSED, arguments).fetchall()
    alone = [(record, blob) for record, count, blob in rows if count == 1]
    scores = _scores([blob for _, blob in alone], vector)
    search.cosines.update((record, score) for (record, _), score in zip(alone, scores, strict=True))
    return list(dict.fromkeys(row[0] for row in rows))


def _scores(blobs: Sequence[bytes], vector: NDArray[np.float32]) -> list[float]:
    scores: list[float] = np.clip(dots(decode_vectors(blobs, len(vector)), vector), -1.0, 1.0).tolist()
    return scores


def _scan(search: _Search, vector: NDArray[np.float32], *, after: int) -> list[int]:
    """The nearest `dense_limit` records by the vectors with a number past `after`, all of them looked at."""
    arguments: tuple[object, ...] = (search.state.key, after)
    looked_at, statement = min(search.state.vectors, search.state.last_vector - after), _SCAN
    if search.filtered:
        arguments += (search.project, search.types)
        statement = _NEWER_FILTERED if after else _SCAN_FILTERED  # the newer are few, and found by their numbers
        if not after and has_kinds(search.connection):
            looked_at, statement = search.matching, _SCAN_KINDS
    search.begin(looked_at)
    cursor = search.connection.execute(statement, arguments)
    owners: list[_Integers] = [np.empty(0, np.int64)]
    scores: list[NDArray[np.float32]] = [np.empty(0, np.float32)]
    while rows := cursor.fetchmany(_FETCH):
        matrix = decode_vectors([row[2] for row in rows], len(vector))
        scores.append(dots(matrix, vector))
        owners.append(np.fromiter((row[1] for row in rows), np.int64, len(rows)))
    return top_owners(np.concatenate(owners), np.concatenate(scores), search.query.dense_limit)


def _holding(search: _Search, graph: Graph | None) -> tuple[list[int], bool]:
    """Numbers of records that hold one of the stems, and whether these are all that do.

    Of stems that very many hold, the nearest of those are wanted. Where so many do that they are among what the graph
    can propose, it is asked for what is near, and that for the stems.
    """
    connection, user, query = search.connection, search.state.key, search.query
    if query.vector is not None:
        held = sum(document_frequencies(connection, user, query.stems).values())
        if graph is not None and held > _MANY_HOLD:
            fetch = max(_FIRST_FETCHED, int(query.lexical_limit * _OVERFETCH * len(graph) / held))
            near, newer = _near_holding(search, graph, query.vector, fetch)
            if len(near) >= query.lexical_limit:
                return sorted({*near, *newer}), False
        search.begin(held)
    return _allowed(search, records_holding(connection, user, query.stems)), True


def _near_holding(
    search: _Search, graph: Graph, vector: NDArray[np.float32], fetch: int
) -> tuple[list[int], list[int]]:
    """Records that hold one of the stems among the `fetch` nearest in the graph or more, and among those newer than it.

    Only the former say how far was looked: newer ones may be farther off than others of the graph.
    """
    near: list[int] = []
    while fetch <= _MOST_FETCHED:
        near = _proposed(search, vector, graph.nearest(vector, fetch), search.query.stems)
        if len(near) >= search.query.lexical_limit or fetch >= min(_MOST_FETCHED, len(graph)):
            break
        fetch = min(4 * fetch, _MOST_FETCHED)
    if len(near) < search.query.lexical_limit:
        return near, []
    stems = json.dumps(search.query.stems)
    found = search.connection.execute(_NEWER_HOLDING, (search.state.key, graph.watermark, stems))
    return near, _allowed(search, sorted({row[0] for row in found}))


def _allowed(search: _Search, numbers: list[int]) -> list[int]:
    if not search.filtered or not numbers:
        return numbers
    arguments = (search.state.key, json.dumps(numbers), search.project, search.types)
    return [row[0] for row in search.connection.execute(_ALLOWED, arguments)]


def _cosines(search: _Search, numbers: Iterable[int]) -> dict[int, float]:
    """The cosine of each record to the query, from its stored vectors; empty without a query vector."""
    vector = search.query.vector
    if vector is None:
        return {}
    cursor = search.connection.execute(_VECTORS, (search.state.key, json.dumps(sorted(numbers))))
    cosines: dict[int, float] = {}
    while rows := cursor.fetchmany(_FETCH):
        for (record, _), score in zip(rows, _scores([row[1] for row in rows], vector), strict=True):
            cosines[record] = max(score, cosines.get(record, -1.0))
    return cosines


def _collect(search: _Search, chosen: Iterable[int], cosines: dict[int, float], *, exact: bool) -> CandidateSet:
    found = search.connection.execute(_ROWS, (search.state.key, json.dumps(sorted(chosen))))
    return CandidateSet(
        epoch=search.state.epoch,
        candidates=tuple(
            Candidate(
                record=owned(row, search.query.scope),
                document=decode_document(row),
                cosine=cosines.get(row.number, math.nan),
                parts=row.vector_count,
            )
            for row in map(MemoryRow._make, found)
        ),
        exact=exact,
    )
