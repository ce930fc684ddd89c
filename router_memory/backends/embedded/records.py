"""Rows ↔ records. Times are whole microseconds since 1970 in UTC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from router_memory.backends.embedded.translate import Damaged, Misfiled
from router_memory.storage import encode_document, from_microseconds, to_microseconds
from router_memory.types import Document, MemoryRecord, MemoryType, MemoryWrite, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "HALVES_FROM",
    "MemoryRow",
    "check_owner",
    "decode_document",
    "decode_record",
    "decode_stems",
    "decode_vectors",
    "encode_vectors",
    "record_values",
]

HALVES_FROM = 256
"""Vectors of so many components are stored in half precision, which takes half the bytes to keep and to read.

Rounding changes a cosine the less the more components there are: at 384, by 1e-5 in the root mean square and by 6e-5 at
most over 10,000,000 pairs, with 99.9 % of each ten nearest the same; at 48, by 1.7e-4. Stores agree to 1e-4.
"""

_TYPES = {member.value: member for member in MemoryType}

_read_json = json.JSONDecoder().raw_decode
"""`json.loads` looks for white space around the value besides, of which we write none: in twice the time."""
_INTEGER = {int}


class MemoryRow(NamedTuple):
    """One row of the view ``memories``, in its order."""

    user: int
    number: int
    id: str
    project: int
    type: str
    role: str | None
    speaker: str | None
    conversation_id: str | None
    position: int
    part: int
    created_at: int
    updated_at: int
    importance: float
    access_count: int
    accessed_at: int | None
    content: str
    document: str
    length: int
    vector_first: int
    vector_count: int
    project_id: str | None


def decode_stems(document: str | bytes) -> dict[str, int]:
    """Stem -> frequency, from the column ``document``.

    Raises:
        Damaged: It is something else.
    """
    try:
        stems, end = _read_json(document, 0) if isinstance(document, str) else (json.loads(document), len(document))
    except (ValueError, TypeError, RecursionError):
        raise Damaged("the stems of a memory cannot be read") from None
    if end != len(document) or not isinstance(stems, dict) or not set(map(type, stems.values())) <= _INTEGER:
        raise Damaged("the stems of a memory cannot be read")
    return stems


def decode_document(row: MemoryRow) -> Document:
    """The lexical side of a row.

    Raises:
        Damaged: It cannot be read.
    """
    return Document(decode_stems(row.document), row.length)


def encode_vectors(vectors: NDArray[np.float32], *, halves: bool) -> list[bytes]:
    """Rows as they are stored.

    Args:
        vectors: Unit rows of shape (n, dimension).
        halves: Whether the file may hold half precision; it is used from `HALVES_FROM` components on.
    """
    kind = "<f2" if halves and vectors.shape[1] >= HALVES_FROM else "<f4"
    return [row.tobytes() for row in vectors.astype(kind)]


def decode_vectors(blobs: Sequence[bytes], dimension: int) -> NDArray[np.float32]:
    """The vectors of rows, whose lengths say how they are stored: float32 of shape (rows, dimension), maybe read-only.

    Raises:
        Damaged: One is not of that dimension.
    """
    try:
        lengths, joined = set(map(len, blobs)), b"".join(blobs)
    except TypeError:
        raise Damaged("a vector is something else") from None
    if lengths <= {4 * dimension}:
        return np.frombuffer(joined, "<f4").reshape(len(blobs), dimension).astype(np.float32, copy=False)
    if dimension < HALVES_FROM or not lengths <= {2 * dimension, 4 * dimension}:
        raise Damaged("a vector has the wrong length")
    if len(lengths) == 1:
        return np.frombuffer(joined, "<f2").reshape(len(blobs), dimension).astype(np.float32)
    return np.stack([decode_vectors([blob], dimension)[0] for blob in blobs])


def decode_record(row: MemoryRow, scope: Scope) -> MemoryRecord:
    """The record of a row. `scope` is its owner: the user and the row's own project.

    Raises:
        Damaged: It cannot be read.
    """
    try:
        return _record(row, scope)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Damaged("a column of a memory cannot be read") from None


def _record(row: MemoryRow, scope: Scope) -> MemoryRecord:
    return MemoryRecord(
        id=row.id,
        scope=scope,
        content=row.content,
        type=_TYPES[row.type],
        role=row.role,
        speaker=row.speaker,
        conversation_id=row.conversation_id,
        position=row.position,
        part=row.part,
        created_at=from_microseconds(row.created_at),
        updated_at=from_microseconds(row.updated_at),
        importance=row.importance,
        access_count=row.access_count,
        accessed_at=None if row.accessed_at is None else from_microseconds(row.accessed_at),
    )


def check_owner(record: MemoryRecord, scope: Scope) -> MemoryRecord:
    """The record itself when it is in the scope: the last check before it leaves the store.

    Raises:
        Misfiled: The query that found it let another scope's row through, or the file was tampered with.
    """
    owner = record.scope
    if owner.user_id != scope.user_id or (scope.project is not None and owner.project != scope.project):
        raise Misfiled("a row of another scope was found and held back")
    return record


def record_values(write: MemoryWrite, user: int, number: int, project: int, vector_first: int) -> tuple[object, ...]:
    """The values of a new row of ``records``, in the order of its columns."""
    record = write.record
    return (
        user,
        number,
        record.id,
        project,
        record.type.value,
        record.role,
        record.speaker,
        record.conversation_id,
        record.position,
        record.part,
        to_microseconds(record.created_at),
        to_microseconds(record.updated_at),
        record.importance,
        record.access_count,
        None if record.accessed_at is None else to_microseconds(record.accessed_at),
        record.content,
        encode_document(write.document),
        write.document.length,
        vector_first,
        len(write.vectors),
    )
