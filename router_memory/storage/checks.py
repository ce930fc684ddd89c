"""What every store accepts: arguments are checked before anything is read or written."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from router_memory.errors import InvalidRequest
from router_memory.types import CandidateQuery, Document, MemoryChange, MemoryRecord, MemoryType, MemoryWrite, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "MAX_INTEGER",
    "check_change",
    "check_ids",
    "check_integer",
    "check_layout",
    "check_limit",
    "check_moment",
    "check_plain_text",
    "check_query",
    "check_record",
    "check_types",
    "check_writes",
]

MAX_INTEGER = 2**63 - 1
"""The largest integer that every store keeps."""

_NORM_TOLERANCE = 1e-2
_MAX_LIMIT = 1_000_000


def _check_text(value: object, field: str) -> None:
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a string, not {type(value).__name__}", field=field)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field} holds a lone surrogate and is not valid Unicode", field=field) from None


def check_plain_text(value: object, field: str) -> None:
    """Raises `InvalidRequest` unless it is a string of valid Unicode without NUL."""
    _check_text(value, field)
    if "\0" in str(value):  # lists of texts travel as JSON, and SQLite's JSON ends a text at NUL
        raise InvalidRequest(f"{field} must not hold NUL", field=field)


def check_integer(value: object, field: str) -> None:
    """Raises `InvalidRequest` unless it is an integer from 0 to 2^63 - 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise InvalidRequest(f"{field} must be an integer from 0 up", field=field)


def check_moment(value: object, field: str) -> None:
    """Raises `InvalidRequest` unless the time is aware."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidRequest(f"{field} must be an aware datetime", field=field)
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise InvalidRequest(f"{field} is outside the years 1 to 9999 in UTC", field=field) from None


def check_limit(value: object, field: str = "limit") -> None:
    """Raises `InvalidRequest` unless the limit is an integer ≥ 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX_LIMIT:
        raise InvalidRequest(f"{field} must be an integer from 1 to {_MAX_LIMIT:,}", field=field)


def check_layout(dimension: int | None, fingerprint: str | None) -> None:
    """Raises `InvalidRequest` unless both are given or neither, and the dimension is in range."""
    if (dimension is None) != (fingerprint is None):
        field = "dimension" if dimension is None else "fingerprint"
        raise InvalidRequest(f"{field} is missing: give dimension and fingerprint, or neither", field=field)
    if dimension is not None:
        check_limit(dimension, "dimension")


def check_ids(ids: Sequence[str], field: str = "ids") -> None:
    """Raises `InvalidRequest` unless it is a sequence of strings, and not one string."""
    if isinstance(ids, str):
        raise InvalidRequest(f"{field} must be a sequence of strings, not one string", field=field)
    for value in ids:
        check_plain_text(value, field)


def check_types(types: Iterable[MemoryType]) -> None:
    """Raises `InvalidRequest` unless all are memory types."""
    for member in types:
        if not isinstance(member, MemoryType):
            raise InvalidRequest("types must be a set of MemoryType", field="types")


def _check_vectors(vectors: object, shape: str, dimension: int, *, rows: bool) -> None:
    if not isinstance(vectors, np.ndarray) or vectors.dtype != np.float32:
        raise InvalidRequest(f"the vector must be a float32 array of shape {shape}", field="vector")
    if vectors.ndim != (2 if rows else 1) or vectors.shape[-1] != dimension or vectors.shape[0] < 1:
        raise InvalidRequest(f"the vector has shape {vectors.shape}, the store holds {shape}", field="vector")
    if rows:
        norms = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
        unit = bool(np.all(np.abs(norms - 1.0) <= _NORM_TOLERANCE))  # also catches NaN and infinity
    else:  # of a query, which waits: a seventh of the time; unlike `dot`, `vdot` does not warn of an overflow
        unit = abs(math.sqrt(float(np.vdot(vectors, vectors))) - 1.0) <= _NORM_TOLERANCE
    if not unit:
        raise InvalidRequest("the vector must be finite and of unit norm", field="vector")


def check_query(query: CandidateQuery, dimension: int) -> None:
    """Raises `InvalidRequest` for a wrong vector, limit, stem or type."""
    if query.vector is not None:
        _check_vectors(query.vector, f"({dimension},)", dimension, rows=False)
    check_limit(query.dense_limit, "dense_limit")
    check_limit(query.lexical_limit, "lexical_limit")
    check_types(query.types)
    check_ids(query.stems, "stems")


def check_writes(scope: Scope, writes: Sequence[MemoryWrite], dimension: int) -> None:
    """Raises `InvalidRequest` for the first write that is not fit to be stored.

    Args:
        scope: Every record must belong to exactly it.
        writes: What is to be stored.
        dimension: Of the vectors.
    """
    for write in writes:
        owner = write.record.scope
        if owner.user_id != scope.user_id or owner.project != scope.project:
            raise InvalidRequest("a record belongs to another scope than the call's", field="scope")
        check_record(write.record)
        _check_document(write.document)
        _check_vectors(write.vectors, f"(n, {dimension})", dimension, rows=True)


def check_change(change: MemoryChange, dimension: int) -> None:
    """Raises `InvalidRequest` unless every field given is fit to be stored, and the text's three come together."""
    check_moment(change.at, "at")
    text = (change.content, change.document, change.vectors)
    if any(part is None for part in text) and any(part is not None for part in text):
        raise InvalidRequest("content, document and vectors change together: give all three or none", field="content")
    if change.content is not None:
        check_plain_text(change.content, "content")
    if change.document is not None:
        _check_document(change.document)
    if change.vectors is not None:
        _check_vectors(change.vectors, f"(n, {dimension})", dimension, rows=True)
    if change.type is not None:
        check_types((change.type,))
    if change.importance is not None:
        _check_importance(change.importance)


def _check_document(document: Document) -> None:
    for frequency in document.stems.values():
        if type(frequency) is not int or not 0 <= frequency <= MAX_INTEGER:
            check_integer(frequency, "stems")
    try:
        all_stems = "".join(document.stems)  # one check instead of one for each: a large import has many
    except TypeError:
        raise InvalidRequest("stems must be strings", field="stems") from None
    check_plain_text(all_stems, "stems")
    check_integer(document.length, "length")


def _check_importance(value: object) -> None:
    if not isinstance(value, int | float) or abs(value) > MAX_INTEGER or not math.isfinite(value):
        raise InvalidRequest("importance must be a finite number", field="importance")


def check_record(record: MemoryRecord) -> None:
    """Raises `InvalidRequest` for the first field that is not fit to be stored."""
    check_plain_text(record.id, "id")
    if not record.id:
        raise InvalidRequest("id must not be empty", field="id")
    check_plain_text(record.content, "content")
    for field in ("role", "speaker", "conversation_id"):
        value = getattr(record, field)
        if value is not None:
            _check_text(value, field)
    for field in ("position", "part", "access_count"):
        check_integer(getattr(record, field), field)
    check_moment(record.created_at, "created_at")
    check_moment(record.updated_at, "updated_at")
    if record.accessed_at is not None:
        check_moment(record.accessed_at, "accessed_at")
    check_types((record.type,))
    _check_importance(record.importance)
