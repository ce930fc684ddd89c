"""A user's memories in memory, as of one epoch, and how they are searched exactly.

A snapshot never changes once it is published: readers share it without a lock. Appends make a
new one that shares the rows and, where its spare room suffices, the matrix of the old one; after
other changes the new one takes over what did not change.
"""

from __future__ import annotations

import json
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from router_memory.backends.embedded.records import MemoryRow, decode_document, decode_record, decode_vectors
from router_memory.backends.embedded.translate import Damaged
from router_memory.types import Document, MemoryRecord, Scope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from router_memory.backends.embedded.owners import UserState

__all__ = ["Snapshot", "estimate_bytes", "load"]

_Memory = tuple[MemoryRecord, Document]

_BYTES_PER_MEMORY = 4_096
"""A decoded memory of a few sentences with its row, measured at 15 stems and 200 characters."""

_SPARE = 1.25
"""How much larger than needed a matrix is made when it has to grow."""


_MARK = itemgetter(*map(MemoryRow._fields.index, ("number", "type", "importance", "updated_at")))
"""What of a row tells whether it was updated; new text is told by new vectors."""


class _Rows:
    """Rows in insertion order with what was decoded of them so far. It only ever grows at its end."""

    __slots__ = ("memories", "rows", "scopes")

    def __init__(self) -> None:
        self.rows: list[MemoryRow] = []
        self.memories: list[_Memory | None] = []
        self.scopes: dict[str | None, Scope] = {}

    def append(self, rows: Sequence[MemoryRow], memories: Sequence[_Memory | None] = ()) -> None:
        self.rows.extend(rows)
        self.memories.extend(memories or [None] * len(rows))


class _Columns(NamedTuple):
    """Per memory, in insertion order."""

    numbers: NDArray[np.int64]
    projects: NDArray[np.int64]
    types: NDArray[np.str_]
    starts: NDArray[np.int64]
    """The first of its rows in the matrix."""
    vectors: NDArray[np.int64]
    """How many rows it has there."""


class Snapshot:
    """A user's memories of one epoch: rows and vectors.

    Attributes:
        state: The user's row in the database it belongs to.
        matrix: float32 of shape (vectors, dimension), unit rows, those of a memory side by side.
        numbers: int64 of shape (memories,), ascending.
        parts: int64 of shape (memories,): how many vectors each has.
    """

    __slots__ = ("_buffer", "_columns", "_rows", "_simple", "matrix", "numbers", "parts", "state")

    def __init__(self, state: UserState, rows: _Rows, columns: _Columns, buffer: NDArray[np.float32]) -> None:
        self.state = state
        self.numbers = columns.numbers
        self.matrix = buffer[: state.vectors]
        self.parts = columns.vectors
        self._rows = rows
        self._columns = columns
        self._buffer = buffer
        self._simple = state.vectors == len(columns.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of each memory to the query: float32 of shape (memories,), the greatest over its vectors."""
        scores: NDArray[np.float32] = self.matrix @ vector
        if not self._simple:
            scores = np.maximum.reduceat(scores, self._columns.starts)
        return np.clip(scores, -1.0, 1.0)

    def mask(self, project: int | None, types: frozenset[str]) -> NDArray[np.bool_] | None:
        """Which memories are in the project and of the types: bool of shape (memories,), ``None`` for all."""
        mask: NDArray[np.bool_] | None = None
        if project is not None:
            mask = self._columns.projects == project
        if types:
            wanted = np.isin(self._columns.types, sorted(types))
            mask = wanted if mask is None else mask & wanted
        return mask

    def memories(self, indices: Iterable[int]) -> list[_Memory]:
        """The memories at the indices with their stems, each decoded once."""
        known = self._rows.memories
        return [known[index] or self._decode(index) for index in indices]

    def _decode(self, index: int) -> _Memory:
        row, scopes = self._rows.rows[index], self._rows.scopes
        scope = scopes.get(row.project_id)
        if scope is None:
            scope = scopes[row.project_id] = Scope(self.state.user_id, row.project_id)
        memory = self._rows.memories[index] = (decode_record(row, scope), decode_document(row))
        return memory

    def extended(self, connection: sqlite3.Connection, state: UserState) -> Snapshot:
        """The snapshot of `state` when memories were only added since this one, the newest of the user's.

        One thread at a time may extend the snapshots of a user: they share what they have in common.
        """
        rows = _read_rows(connection, state.key, self.state.last_record)
        matrix, owners = _read_vectors(connection, state.key, self.state.last_vector, self.matrix.shape[1])
        used, buffer = self.state.vectors, self._buffer
        new = _columns(rows, owners, used)
        columns = _Columns(*(np.concatenate(pair) for pair in zip(self._columns, new, strict=True)))
        _check(state, columns, used + len(matrix))
        if len(buffer) < state.vectors:
            buffer = np.empty((int(state.vectors * _SPARE) + 1, self.matrix.shape[1]), np.float32)
            buffer[:used] = self.matrix
        buffer[used : state.vectors] = matrix
        self._rows.append(rows)  # last: what it shares must not hold what no snapshot knows
        return Snapshot(state, self._rows, columns, buffer)

    def rewritten(self, connection: sqlite3.Connection, state: UserState) -> Snapshot:
        """The snapshot of `state` whatever was done since this one: what is new or not the same is read."""
        count, last = len(self), self.state.last_record
        stored = connection.execute(
            "SELECT number, type, importance, updated_at FROM records WHERE user = ? AND number <= ?", (state.key, last)
        ).fetchall()
        matrix, owners = _read_vectors(connection, state.key, self.state.last_vector, self.matrix.shape[1])
        known, moved = list(map(_MARK, self._rows.rows[:count])), owners[owners <= last]
        changed = {mark[0] for mark in set(stored).difference(known)}.union(moved.tolist())
        fresh = _read_rows(connection, state.key, last, changed)

        rows, memories = self._rows.rows[:count], self._rows.memories[:count]
        for row in (row for row in fresh if row.number <= last):
            index = int(np.searchsorted(self.numbers, row.number))
            if index == count or rows[index].number != row.number:
                raise Damaged("a memory stands before older ones")
            rows[index], memories[index] = row, None
        left = np.isin(self.numbers, np.fromiter((mark[0] for mark in stored), np.int64, len(stored)))
        kept = np.repeat(left & ~np.isin(self.numbers, moved), self.parts)
        held = np.repeat(self.numbers, self.parts)[kept]
        now = _Rows()
        now.append(list(compress(rows, left.tolist())), list(compress(memories, left.tolist())))
        now.append([row for row in fresh if row.number > last])

        remaining = self.matrix if kept.all() else self.matrix[kept]
        if len(held):
            matrix = np.concatenate([remaining, matrix]) if len(matrix) else remaining
        owners = np.concatenate([held, owners])
        if np.any(owners[1:] < owners[:-1]):  # an update gave a memory new vectors, behind those of later ones
            order = np.argsort(owners, kind="stable")
            matrix, owners = matrix[order], owners[order]
        columns = _columns(now.rows, owners, 0)
        _check(state, columns, len(matrix))
        return Snapshot(state, now, columns, matrix)


def estimate_bytes(state: UserState, dimension: int) -> int:
    """How much memory the user's snapshot takes once everything in it is decoded, roughly."""
    return int(state.vectors * dimension * 4 * _SPARE) + state.documents * _BYTES_PER_MEMORY


def load(connection: sqlite3.Connection, state: UserState, dimension: int) -> Snapshot:
    """Reads all memories of a user, inside the transaction that read `state`."""
    nothing = state._replace(documents=0, vectors=0, last_record=0, last_vector=0)
    none = np.empty(0, np.int64)
    empty = Snapshot(nothing, _Rows(), _columns([], none, 0), np.empty((0, dimension), np.float32))
    return empty.rewritten(connection, state)


def _read_rows(connection: sqlite3.Connection, user: int, after: int, others: Iterable[int] = ()) -> list[MemoryRow]:
    """The rows with a number past `after`, and before them `others`."""
    found = connection.execute(
        "SELECT m.* FROM json_each(?) q CROSS JOIN memories m ON m.user = ? AND m.number = q.value",
        (json.dumps(sorted(others)), user),
    ).fetchall()
    found += connection.execute("SELECT * FROM memories WHERE user = ? AND number > ? ORDER BY number", (user, after))
    return [MemoryRow._make(row) for row in found]


def _check(state: UserState, columns: _Columns, vectors: int) -> None:
    """Raises `Damaged` unless every memory has its vectors."""
    ends = np.cumsum(columns.vectors)
    whole = len(ends) == state.documents and vectors == state.vectors == (ends[-1] if len(ends) else 0)
    if not whole or np.any(columns.vectors < 1) or np.any(columns.starts != ends - columns.vectors):
        raise Damaged("memories and vectors do not belong together")


def _read_vectors(
    connection: sqlite3.Connection, user: int, after: int, dimension: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors with a number past `after` and the records they belong to, in order."""
    found = connection.execute(
        "SELECT vector, record FROM vectors WHERE user = ? AND number > ? ORDER BY number", (user, after)
    ).fetchall()
    matrix = decode_vectors([row[0] for row in found], dimension)
    return matrix, np.fromiter((row[1] for row in found), np.int64, len(found))


def _columns(rows: Sequence[MemoryRow], owners: NDArray[np.int64], offset: int) -> _Columns:
    """The columns of rows whose vectors begin at `offset` in the matrix and belong to `owners`."""

    def column(name: str) -> NDArray[np.int64]:
        return np.fromiter(map(itemgetter(MemoryRow._fields.index(name)), rows), np.int64, len(rows))

    numbers = column("number")
    return _Columns(
        numbers=numbers,
        projects=column("project"),
        types=np.array([row.type for row in rows], dtype="U10"),
        starts=np.searchsorted(owners, numbers).astype(np.int64) + offset,
        vectors=column("vector_count"),
    )
