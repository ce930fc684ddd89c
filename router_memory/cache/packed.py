"""The records of an answer as JSON arrays, one behind the other: those are read that are asked for, which are few.

An array holds what a `MemoryRecord` holds, in the order of its fields, with the project in the place of the scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, overload

import orjson

from router_memory.cache.rebuilt import rebuilder
from router_memory.types import MemoryRecord, MemoryType, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KINDS", "PackedRecords", "pack"]

KINDS: dict[str, MemoryType] = {member.value: member for member in MemoryType}
"""The types of memories by what is written for them."""

_NAMES = tuple(field.name for field in fields(MemoryRecord))
_SCOPE, _KIND, _CREATED, _UPDATED, _ACCESSED = map(
    _NAMES.index, ("scope", "type", "created_at", "updated_at", "accessed_at")
)
_rebuilt: Callable[[Sequence[Any]], MemoryRecord] = rebuilder(MemoryRecord)
_moment = datetime.fromisoformat


def pack(record: MemoryRecord) -> bytes:
    """A record as an array.

    Raises:
        orjson.JSONEncodeError: Something in it has no form in JSON.
    """
    values = [getattr(record, name) for name in _NAMES]
    values[_SCOPE] = record.scope.project
    return orjson.dumps(values)


class PackedRecords(Sequence[MemoryRecord]):
    """The records again. Each is read once.

    Args:
        body: Bytes that hold the arrays.
        start: Where they begin.
        ends: Where each of them begins behind that, and where the last one ends; n + 1 of them, ascending.
        scope: Of the question; they are its user's.

    Attributes:
        nbytes: Length of the body.
    """

    __slots__ = ("_body", "_ends", "_read", "_scopes", "_start", "_user_id", "nbytes")

    def __init__(self, body: bytes, start: int, ends: list[int], scope: Scope) -> None:
        self._body = body
        self._start = start
        self._ends = ends
        self._scopes = {scope.project: scope}
        self._user_id = scope.user_id
        self._read: dict[int, MemoryRecord] = {}
        self.nbytes = len(body)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> MemoryRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MemoryRecord]: ...
    def __getitem__(self, index: int | slice) -> MemoryRecord | Sequence[MemoryRecord]:
        """The record at a place."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        record = self._read.get(index)
        if record is None:
            place = range(len(self))[index]
            record = self._read.get(place)
            if record is None:
                record = self._read[place] = self._record(place)
        return record

    def _record(self, place: int) -> MemoryRecord:
        start, ends = self._start, self._ends
        values: list[Any] = orjson.loads(self._body[start + ends[place] : start + ends[place + 1]])
        project, created, updated, accessed = values[_SCOPE], values[_CREATED], values[_UPDATED], values[_ACCESSED]
        values[_SCOPE] = self._scopes.get(project) or self._scope(project)
        values[_KIND] = KINDS[values[_KIND]]
        values[_CREATED] = moment = _moment(created)
        values[_UPDATED] = moment if updated == created else _moment(updated)
        if accessed is not None:
            values[_ACCESSED] = _moment(accessed)
        return _rebuilt(values)

    def _scope(self, project: str | None) -> Scope:
        scope = self._scopes[project] = Scope(self._user_id, project)
        return scope
