"""Hashes ↔ memories. Numbers are decimal text, vectors little-endian float32, everything else UTF-8.

user, project, type, stems, embedding    what queries ask for
content                                  the text
document                                 [length, {stem: frequency}]
origin                                   [project, role, speaker, conversation, part]
place                                    time of creation and position, as 32 hex digits that sort by age
importance, updated                      updated in microseconds since 1970, like every time
accesses, accessed                       once it was injected
parts, more                              of a memory with several vectors: how many; all but the first
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from router_memory.backends.valkey.damage import Damaged, Misfiled
from router_memory.backends.valkey.keys import Keys, stem_tag
from router_memory.storage import Position, from_microseconds, to_microseconds
from router_memory.types import Document, MemoryRecord, MemoryType, MemoryWrite, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "RECORD_FIELDS",
    "StoredMemory",
    "decode_memories",
    "decode_vectors",
    "encode_vector",
    "member_position",
    "part_values",
    "place_of",
    "record_values",
    "text_values",
]

RECORD_FIELDS = (
    "content",
    "document",
    "origin",
    "place",
    "type",
    "importance",
    "updated",
    "accesses",
    "accessed",
    "parts",
)
"""What makes a memory, without its vectors."""

_TYPES = {member.value.encode(): member for member in MemoryType}
_LETTERS = {member.value[0]: member for member in MemoryType}
_SHIFT = 1 << 60  # places every time from year 1 to 9999 above 0
_PLACE_DIGITS = 16

Fields = tuple[str | bytes, ...]
"""Fields and values in turn, as HSET takes them."""
Hash = Mapping[bytes, bytes]


class StoredMemory(NamedTuple):
    """A memory as it was read."""

    record: MemoryRecord
    document: Document
    parts: int


def encode_vector(vector: NDArray[np.float32]) -> bytes:
    """A vector as the index reads it."""
    return vector.astype("<f4", copy=False).tobytes()


def decode_vectors(raw: bytes, dimension: int) -> NDArray[np.float32]:
    """Vectors of shape (rows, dimension) that stand one behind the other.

    Raises:
        Damaged: That is no whole number of rows.
    """
    if not raw or len(raw) % (4 * dimension):
        raise Damaged("a vector has the wrong length")
    return np.frombuffer(raw, "<f4").reshape(-1, dimension)


def place_of(record: MemoryRecord) -> str:
    """Where a memory stands by age, as text that sorts."""
    return place(to_microseconds(record.created_at), record.position)


def place(created: int, position: int) -> str:
    """A time in microseconds and a position as 32 hex digits that sort."""
    return f"{created + _SHIFT:0{_PLACE_DIGITS}x}{position:0{_PLACE_DIGITS}x}"


def member_position(member: bytes) -> tuple[Position, MemoryType, str]:
    """What a member of the order says: where the memory stands, its type, and the digest of its project.

    Raises:
        Damaged: It says something else.
    """
    try:
        head, _, tail = member.decode().partition("\0")
        created, position = int(head[:_PLACE_DIGITS], 16) - _SHIFT, int(head[_PLACE_DIGITS : 2 * _PLACE_DIGITS], 16)
        return Position(created, position, head[2 * _PLACE_DIGITS :]), _LETTERS[tail[0]], tail[1:]
    except (ValueError, LookupError):
        raise Damaged("the order of a user's memories cannot be read") from None


def text_values(keys: Keys, document: Document, content: str, vectors: NDArray[np.float32]) -> Fields:
    """Fields and values of all that follows from the text of a memory."""
    values: list[str | bytes] = ["content", content]
    values += ["document", json.dumps([document.length, dict(document.stems)], ensure_ascii=False)]
    values += ["stems", ",".join(stem_tag(keys.user, stem) for stem in document.stems)]
    values += ["embedding", encode_vector(vectors[0])]
    if len(vectors) > 1:
        values += ["parts", str(len(vectors)), "more", encode_vector(vectors[1:])]
    return tuple(values)


def record_values(keys: Keys, write: MemoryWrite) -> Fields:
    """Fields and values of a new memory's hash."""
    record = write.record
    origin = [record.scope.project, record.role, record.speaker, record.conversation_id, record.part]
    values: list[str | bytes] = ["user", keys.user, "type", record.type.value]
    if record.scope.project_digest is not None:
        values += ["project", record.scope.project_digest]
    values += ["origin", json.dumps(origin, ensure_ascii=False), "place", place_of(record)]
    values += ["importance", repr(float(record.importance)), "updated", str(to_microseconds(record.updated_at))]
    if record.access_count:
        values += ["accesses", str(record.access_count)]
    if record.accessed_at is not None:
        values += ["accessed", str(to_microseconds(record.accessed_at))]
    return (*values, *text_values(keys, write.document, record.content, write.vectors))


def part_values(keys: Keys, vector: NDArray[np.float32], type: MemoryType | None, project: str | None) -> Fields:
    """Fields and values of the hash of a vector beside the first; what is ``None`` is left to the script."""
    values: list[str | bytes] = ["user", keys.user, "embedding", encode_vector(vector)]
    if type is not None:
        values += ["type", type.value]
    if project is not None:
        values += ["project", project]
    return tuple(values)


def decode_memories(scope: Scope, rows: Sequence[tuple[str, Hash]]) -> list[StoredMemory]:
    """Memories from their ids and hashes, in order.

    Args:
        scope: What was asked for; every memory's owner is checked against it.
        rows: Ids and the fields of `RECORD_FIELDS` that are there.

    Raises:
        Damaged: A hash holds what the store never writes.
        Misfiled: A memory belongs to another project than the one asked for.
    """
    scopes: dict[str | None, Scope] = {scope.project: scope}
    try:
        documents = _parsed([fields[b"document"] for _, fields in rows])
        origins = _parsed([fields[b"origin"] for _, fields in rows])
        stored = []
        for (name, fields), (length, stems), (project, *origin) in zip(rows, documents, origins, strict=True):
            owner = scopes.get(project)
            if owner is None:
                owner = scopes[project] = Scope(scope.user_id, project)
            record = _record(name, owner, fields, origin)
            stored.append(StoredMemory(record, Document(stems, length), int(fields.get(b"parts", 1))))
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        raise Damaged("a field of a memory cannot be read") from None
    if scope.project is not None and len(scopes) > 1:
        raise Misfiled("a memory of another project was found and held back")
    return stored


def _parsed(texts: Sequence[bytes]) -> list[Any]:
    """Many small JSON texts, read in one go."""
    values: list[Any] = json.loads(b"[" + b",".join(texts) + b"]")
    return values


def _record(id: str, owner: Scope, fields: Hash, origin: Sequence[Any]) -> MemoryRecord:
    role, speaker, conversation_id, part = origin
    position, accessed = fields[b"place"], fields.get(b"accessed")
    return MemoryRecord(
        id=id,
        scope=owner,
        content=fields[b"content"].decode(),
        type=_TYPES[fields[b"type"]],
        role=role,
        speaker=speaker,
        conversation_id=conversation_id,
        position=int(position[_PLACE_DIGITS:], 16),
        part=part,
        created_at=from_microseconds(int(position[:_PLACE_DIGITS], 16) - _SHIFT),
        updated_at=from_microseconds(int(fields[b"updated"])),
        importance=float(fields[b"importance"]),
        access_count=int(fields.get(b"accesses", 0)),
        accessed_at=None if accessed is None else from_microseconds(int(accessed)),
    )
