"""A memory as it is stored, read and listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from router_memory.types.scope import Scope

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Document",
    "MemoryChange",
    "MemoryRecord",
    "MemoryType",
    "MemoryWrite",
    "Page",
    "Restored",
    "Turn",
    "WriteStatus",
]


class MemoryType(StrEnum):
    """What kind of knowledge a memory is."""

    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"
    EPISODIC = "episodic"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord:
    """One memory.

    Attributes:
        id: 32 hex characters, see `record_id`.
        scope: Its owner; `scope.project` is the project it was written to.
        content: The text, without NUL and lone surrogates.
        role: ``user`` or ``assistant`` for a chat message, ``None`` for one added by hand.
        speaker: The message's ``name``, else its role.
        conversation_id: The conversation it was said in.
        position: Index of the message among the conversation's messages when it was first seen, from 0.
        part: Which part of a message too long for one memory, from 0.
        created_at, updated_at, accessed_at: Aware, UTC.
        importance: In [0, 1].
        access_count: How often it was injected.
    """

    id: str
    scope: Scope
    content: str
    type: MemoryType = MemoryType.SEMANTIC
    role: str | None = None
    speaker: str | None = None
    conversation_id: str | None = None
    position: int = 0
    part: int = 0
    created_at: datetime
    updated_at: datetime
    importance: float = 0.5
    access_count: int = 0
    accessed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The lexical side of a memory, computed once at write time.

    Attributes:
        stems: Stem -> term frequency, stop words left out.
        length: Number of terms, stop words left out: the sum of the frequencies.
    """

    stems: Mapping[str, int]
    length: int


@dataclass(frozen=True, slots=True)
class MemoryWrite:
    """A memory with all that a store keeps beside it.

    Attributes:
        record: The memory.
        document: Its stems.
        vectors: float32 of shape (n, dimension), n ≥ 1, rows of unit norm: one row for each part of the
            content the model reads in one go.
    """

    record: MemoryRecord
    document: Document
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryChange:
    """What an update sets; what is ``None`` stays as it is, so updates of different fields do not undo each other.

    Attributes:
        at: When, aware; `MemoryRecord.updated_at` becomes the later of this and what it is.
        content, document, vectors: New text with its stems and vectors, as in `MemoryWrite`: all three or none.
        type, importance: New values.
    """

    at: datetime
    content: str | None = None
    document: Document | None = None
    vectors: NDArray[np.float32] | None = None
    type: MemoryType | None = None
    importance: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of a conversation, ready to be remembered.

    Attributes:
        role: ``user`` or ``assistant``.
        content: The message's text.
        speaker: The message's ``name``; the role stands in when it is ``None``.
        position: Index of the message in its conversation, from 0.
        occurrence: Place among the request's messages with the same role and content, from 0.
        created_at: When it was said, aware.
    """

    role: str
    content: str
    speaker: str | None = None
    position: int = 0
    occurrence: int = 0
    created_at: datetime


class WriteStatus(StrEnum):
    """What became of one memory handed to a store or to the write queue."""

    STORED = "stored"
    """It is durable now."""
    MERGED = "merged"
    """It was there already; nothing changed."""
    SKIPPED = "skipped"
    """It was not to be stored; the reason says why."""
    REJECTED = "rejected"
    """The queue was full or closed; it was not stored."""
    FAILED = "failed"
    """The store or the embedder refused it; it was not stored."""
    UNKNOWN = "unknown"
    """The store did not answer; it may or may not be stored. Writing it again is safe."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of memories that were brought back.

    Attributes:
        stored: How many are new here.
        merged: How many were there already; nothing of those changed.
    """

    stored: int = 0
    merged: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, newest first.

    Attributes:
        records: At most `limit` records.
        cursor: Opaque; hand it to the next `list` call. ``None`` on the last page.
        total: How many records match over all pages.
    """

    records: tuple[MemoryRecord, ...]
    cursor: str | None
    total: int
