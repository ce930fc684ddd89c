"""Hashes ↔ memories. Vectors are little-endian float32, one behind the other, everything else is UTF-8.

    user, project, type, stems, embedding    what queries ask for; the embedding is the first vector
    memory                                   two JSON lists with NUL between them: what an update leaves alone,
                                             [project, role, speaker, conversation, part, place], and what follows from
                                             the text, [content, length, {stem: frequency}, vectors]
    state                                    type, importance, updated, accesses, accessed, with blanks between them
    more                                     the vectors beside the first, if there are any

The place is the time of creation and the position as 32 hex digits that sort by age. Times are in microseconds since
1970. Few fields, for each costs memory in every hash and time in every hit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import orjson

from router_memory.backends.valkey.damage import Damaged, Misfiled
from router_memory.storage import Position, from_microseconds, to_microseconds
from router_memory.types import Document, MemoryRecord, MemoryType, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from router_memory.backends.valkey.keys import Keys

__all__ = [
    "MORE",
    "RECORD_FIELDS",
    "Hash",
    "StoredMemory",
    "decode_memories",
    "decode_vectors",
    "encode_origin",
    "encode_state",
    "encode_text",
    "encode_vectors",
    "member_position",
    "place",
    "place_of",
    "stem_tags",
]

RECORD_FIELDS = ("memory", "state")
"""What makes a memory, without its vectors."""
MORE = "more"
"""The field of the vectors beside the first."""

_TYPES = {member.value.encode(): member for member in MemoryType}
_LETTERS = {member.value[0]: member for member in MemoryType}
_SHIFT = 1 << 60  # places every time from year 1 to 9999 above 0
_PLACE_DIGITS = 16

_NEVER = "-"

Hash = Mapping[bytes, bytes]


StoredMemory = tuple[MemoryRecord, Document, int]
"""A memory as it was read, and how many vectors it has."""


def encode_vectors(vectors: NDArray[np.float32]) -> bytes:
    """One vector or several as the index reads them."""
    return vectors.astype("<f4", copy=False).tobytes()


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


def stem_tags(keys: Keys, document: Document) -> str:
    """What the index finds a memory's stems by."""
    return ",".join(keys.stem_tags(document.stems))


def encode_origin(record: MemoryRecord) -> bytes:
    """What an update leaves alone."""
    return orjson.dumps(
        [record.scope.project, record.role, record.speaker, record.conversation_id, record.part, place_of(record)]
    )


def encode_text(content: str, document: Document, vectors: int) -> bytes:
    """What follows from the text."""
    return orjson.dumps([content, document.length, dict(document.stems), vectors])


def encode_state(record: MemoryRecord) -> str:
    """What changes singly."""
    accessed = _NEVER if record.accessed_at is None else to_microseconds(record.accessed_at)
    importance, updated = float(record.importance), to_microseconds(record.updated_at)
    return f"{record.type.value} {importance!r} {updated} {record.access_count} {accessed}"


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
        lists = orjson.loads(b"[" + b",".join([row[b"memory"] for _, row in rows]).replace(b"\0", b",") + b"]")
        stored: list[StoredMemory] = []
        for (name, row), origin, text in zip(rows, lists[::2], lists[1::2], strict=True):
            project, role, speaker, conversation_id, part, where = origin
            content, length, stems, vectors = text
            owner = scopes.get(project)
            if owner is None:
                owner = scopes[project] = Scope(scope.user_id, project)
            kind, importance, updated, accesses, accessed = row[b"state"].split(b" ")
            created = int(where[:_PLACE_DIGITS], 16) - _SHIFT
            created_at = from_microseconds(created)
            changed = int(updated)
            record = MemoryRecord(
                id=name,
                scope=owner,
                content=content,
                type=_TYPES[kind],
                role=role,
                speaker=speaker,
                conversation_id=conversation_id,
                position=int(where[_PLACE_DIGITS:], 16),
                part=part,
                created_at=created_at,
                updated_at=created_at if changed == created else from_microseconds(changed),
                importance=float(importance),
                access_count=int(accesses),
                accessed_at=None if accessed == b"-" else from_microseconds(int(accessed)),
            )
            stored.append((record, Document(stems, length), vectors))
    except (KeyError, ValueError, TypeError, OverflowError):
        raise Damaged("a field of a memory cannot be read") from None
    if scope.project is not None and len(scopes) > 1:
        raise Misfiled("a memory of another project was found and held back")
    return stored
