"""A user's memories in memory, as of one epoch, and how they are searched exactly.

A snapshot never changes once it is published: readers share it without a lock. Appends make a
new one that shares the matrix of the old one where its spare room suffices; after other changes
the new one takes over what did not change. It holds vectors and what filters look at. Texts stay
in the file: those of the candidates are read in the transaction of the search, and kept while
`Snapshots` has room for them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from router_memory.backends.embedded.decoded import Known, Memory
from router_memory.backends.embedded.dots import dots
from router_memory.backends.embedded.records import MemoryRow, decode_document, decode_record, decode_vectors
from router_memory.backends.embedded.translate import Damaged
from router_memory.types import MemoryType, Scope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from router_memory.backends.embedded.owners import UserState

__all__ = ["Snapshot", "estimate_bytes", "load"]

_BYTES_PER_MEMORY = 8 * 6
"""Of the columns."""

_SPARE = 1.1
"""How much larger than needed a matrix is made when it has to grow."""

_TYPES = {member.value: code for code, member in enumerate(MemoryType)}
_UNKNOWN = -1
"""A type that is none: the file is damaged, and reading that memory says so."""

_HEADS = "SELECT number, project, type, importance, updated_at, vector_count FROM records"


class _Heads(NamedTuple):
    """Per memory, in insertion order: what must be known of each before any is chosen. int64, types int8."""

    numbers: NDArray[np.int64]
    projects: NDArray[np.int64]
    types: NDArray[np.int8]
    marks: NDArray[np.int64]
    """Differs when type, importance or time of update do; new text is told by new vectors."""
    vectors: NDArray[np.int64]
    """How many rows it has in the matrix."""


class Snapshot:
    """A user's memories of one epoch: vectors and columns.

    Attributes:
        state: The user's row in the database it belongs to.
        matrix: float32 of shape (vectors, dimension), unit rows, those of a memory side by side.
        numbers: int64 of shape (memories,), ascending.
        parts: int64 of shape (memories,): how many vectors each has.
        known: The memories decoded so far.
    """

    __slots__ = ("_buffer", "_heads", "_scopes", "_simple", "_starts", "known", "matrix", "numbers", "parts", "state")

    def __init__(
        self,
        state: UserState,
        known: Known,
        heads: _Heads,
        starts: NDArray[np.int64],
        buffer: NDArray[np.float32],
    ) -> None:
        self.state = state
        self.known = known
        self.numbers = heads.numbers
        self.matrix = buffer[: state.vectors]
        self.parts = heads.vectors
        self._heads = heads
        self._starts = starts
        self._buffer = buffer
        self._simple = state.vectors == len(heads.numbers)
        self._scopes: dict[str | None, Scope] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def bytes(self) -> int:
        """How much memory it takes without what is decoded."""
        return self._buffer.nbytes + len(self) * _BYTES_PER_MEMORY

    def cosines(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of each memory to the query: float32 of shape (memories,), the greatest over its vectors."""
        scores = dots(self.matrix, vector)
        if not self._simple:
            scores = np.maximum.reduceat(scores, self._starts)
        return np.clip(scores, -1.0, 1.0)

    def mask(self, project: int | None, types: frozenset[str]) -> NDArray[np.bool_] | None:
        """Which memories are in the project and of the types: bool of shape (memories,), ``None`` for all."""
        mask: NDArray[np.bool_] | None = None
        if project is not None:
            mask = self._heads.projects == project
        if types:
            wanted = np.isin(self._heads.types, [_TYPES[name] for name in types])
            mask = wanted if mask is None else mask & wanted
        return mask

    def memories(self, connection: sqlite3.Connection, indices: NDArray[np.int64]) -> list[Memory]:
        """The memories at the indices with their stems, inside a transaction that sees the snapshot's epoch.

        Raises:
            Damaged: One cannot be read.
        """
        numbers: list[int] = self.numbers[indices].tolist()
        found = [self.known.get(number) for number in numbers]
        missing = [number for number, memory in zip(numbers, found, strict=True) if memory is None]
        if missing:
            read = {row.number: self._decode(row) for row in _read_rows(connection, self.state.key, missing)}
            if len(read) < len(missing):
                raise Damaged("a memory is not where it was")
            self.known.add(read)
            found = [memory or read[number] for number, memory in zip(numbers, found, strict=True)]
        return [memory for memory in found if memory is not None]

    def _decode(self, row: MemoryRow) -> Memory:
        scope = self._scopes.get(row.project_id)
        if scope is None:
            scope = self._scopes[row.project_id] = Scope(self.state.user_id, row.project_id)
        return decode_record(row, scope), decode_document(row)

    def extended(self, connection: sqlite3.Connection, state: UserState) -> Snapshot:
        """The snapshot of `state` when memories were only added since this one, the newest of the user's.

        One thread at a time may extend the snapshots of a user: they share what they have in common.
        """
        new = _read_heads(connection, state.key, self.state.last_record)
        matrix, owners = _read_vectors(connection, state.key, self.state.last_vector, self.matrix.shape[1])
        used, buffer = self.state.vectors, self._buffer
        heads = _Heads(*(np.concatenate(pair) for pair in zip(self._heads, new, strict=True)))  # type: ignore[arg-type]
        starts = np.concatenate([self._starts, _starts(new, owners, used)])
        _check(state, heads, starts, used + len(matrix))
        if len(buffer) < state.vectors:
            buffer = np.empty((int(state.vectors * _SPARE) + 1, self.matrix.shape[1]), np.float32)
            buffer[:used] = self.matrix
        buffer[used : state.vectors] = matrix
        return Snapshot(state, self.known, heads, starts, buffer)

    def rewritten(self, connection: sqlite3.Connection, state: UserState) -> Snapshot:
        """The snapshot of `state` whatever was done since this one: what is new or not the same is read."""
        last = self.state.last_record
        stored = _read_heads(connection, state.key, 0)
        matrix, owners = _read_vectors(connection, state.key, self.state.last_vector, self.matrix.shape[1])
        older = stored.numbers <= last
        places = np.searchsorted(self.numbers, stored.numbers[older])
        if not np.array_equal(self.numbers.take(places, mode="clip") if len(self) else [], stored.numbers[older]):
            raise Damaged("a memory stands before older ones")
        moved = owners[owners <= last]
        same = self._heads.marks[places] == stored.marks[older]
        unchanged = set(stored.numbers[older][same].tolist()).difference(moved.tolist())
        known = self.known.only(unchanged)

        kept = np.repeat(np.isin(self.numbers, stored.numbers) & ~np.isin(self.numbers, moved), self.parts)
        held = np.repeat(self.numbers, self.parts)[kept]
        remaining = self.matrix if kept.all() else self.matrix[kept]
        if len(held):
            matrix = np.concatenate([remaining, matrix]) if len(matrix) else remaining
        owners = np.concatenate([held, owners])
        if np.any(owners[1:] < owners[:-1]):  # an update gave a memory new vectors, behind those of later ones
            order = np.argsort(owners, kind="stable")
            matrix, owners = matrix[order], owners[order]
        starts = _starts(stored, owners, 0)
        _check(state, stored, starts, len(matrix))
        return Snapshot(state, known, stored, starts, matrix)


def estimate_bytes(state: UserState, dimension: int) -> int:
    """How much memory the user's snapshot takes without what is decoded."""
    return int(state.vectors * dimension * 4 * _SPARE) + state.documents * _BYTES_PER_MEMORY


def load(connection: sqlite3.Connection, state: UserState, dimension: int) -> Snapshot:
    """Reads all vectors of a user, inside the transaction that read `state`."""
    nothing = state._replace(documents=0, vectors=0, last_record=0, last_vector=0)
    none = np.empty(0, np.int64)
    empty = Snapshot(nothing, Known(), _heads([]), none, np.empty((0, dimension), np.float32))
    return empty.rewritten(connection, state)


def _read_rows(connection: sqlite3.Connection, user: int, numbers: Sequence[int]) -> Iterable[MemoryRow]:
    found = connection.execute(
        "SELECT m.* FROM json_each(?) q CROSS JOIN memories m ON m.user = ? AND m.number = q.value",
        (json.dumps(numbers), user),
    )
    return map(MemoryRow._make, found)


def _read_heads(connection: sqlite3.Connection, user: int, after: int) -> _Heads:
    """Of the records with a number past `after`, in order."""
    query = f"{_HEADS} WHERE user = ? AND number > ? ORDER BY number"
    return _heads(connection.execute(query, (user, after)).fetchall())


def _heads(rows: Sequence[tuple[int, int, str, float, int, int]]) -> _Heads:
    """Columns of rows.

    Raises:
        Damaged: A number in them is none.
    """
    numbers, projects, types, importances, times, vectors = zip(*rows, strict=True) if rows else ((),) * 6
    try:
        return _Heads(
            numbers=np.array(numbers, np.int64),
            projects=np.array(projects, np.int64),
            types=np.array([_TYPES.get(name, _UNKNOWN) for name in types], np.int8),
            marks=np.array([hash(mark) for mark in zip(types, importances, times, strict=True)], np.int64),
            vectors=np.array(vectors, np.int64),
        )
    except (TypeError, ValueError, OverflowError):
        raise Damaged("a column of a memory cannot be read") from None


def _check(state: UserState, heads: _Heads, starts: NDArray[np.int64], vectors: int) -> None:
    """Raises `Damaged` unless every memory has its vectors."""
    ends = np.cumsum(heads.vectors)
    whole = len(ends) == state.documents and vectors == state.vectors == (ends[-1] if len(ends) else 0)
    if not whole or np.any(heads.vectors < 1) or np.any(starts != ends - heads.vectors):
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


def _starts(heads: _Heads, owners: NDArray[np.int64], offset: int) -> NDArray[np.int64]:
    """The first row in the matrix of each memory, whose vectors begin at `offset` and belong to `owners`."""
    return np.searchsorted(owners, heads.numbers).astype(np.int64) + offset
