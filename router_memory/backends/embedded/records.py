"""Rows ↔ records. Times are whole microseconds since 1970 in UTC."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from router_memory.backends.embedded.translate import BACKEND
from router_memory.errors import BackendRejected
from router_memory.types import Document, MemoryRecord, MemoryType, MemoryWrite, Scope

__all__ = [
    "MemoryRow",
    "check_owner",
    "decode_document",
    "decode_record",
    "encode_document",
    "from_microseconds",
    "record_values",
    "to_microseconds",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TYPES = {member.value: member for member in MemoryType}


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


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC time."""
    return _EPOCH + timedelta(microseconds=microseconds)


def encode_document(document: Document) -> str:
    """The stems as compact JSON."""
    return json.dumps(dict(document.stems), ensure_ascii=False, separators=(",", ":"))


def decode_document(row: MemoryRow) -> Document:
    """The lexical side of a row."""
    return Document(json.loads(row.document), row.length)


def decode_record(row: MemoryRow, scope: Scope) -> MemoryRecord:
    """The record of a row. `scope` is its owner: the user and the row's own project."""
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
        BackendRejected: The query that found it let another scope's row through, or the file was tampered with.
    """
    owner = record.scope
    if owner.user_id != scope.user_id or (scope.project is not None and owner.project != scope.project):
        raise BackendRejected(
            "a row of another scope was found and held back",
            backend=BACKEND,
            operation="read",
            hint="the file is damaged or this is a defect: please report it",
        )
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
