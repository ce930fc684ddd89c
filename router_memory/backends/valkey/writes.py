"""What writes: each memory in one script, with its statistics and a new epoch; many memories in short scripts."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.damage import reading
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.records import (
    RECORD_FIELDS,
    decode_memories,
    part_values,
    place_of,
    record_values,
    text_values,
)
from router_memory.backends.valkey.scripts import script
from router_memory.storage import new_epoch, to_microseconds
from router_memory.types import MemoryChange, MemoryRecord, MemoryType, MemoryWrite, Scope, WriteStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.promotion import Promotions
    from router_memory.backends.valkey.reads import Reader

__all__ = ["Writer"]

_STEP_MEMORIES = 8
_STEP_VECTORS = 16
"""Most memories and vectors written by one script: it holds up the server for a fraction of a millisecond."""
_AT_ONCE = 16
"""Scripts on their way at the same time."""
_FORGET_STEP = 16
_FORGET_SCAN = 512

_NAMES = tuple(name.encode() for name in RECORD_FIELDS)

Arguments = list[str | bytes]


class Writer:
    """Writes.

    Args:
        connection: The server.
        prefix: Of the keys.
        promotions: Are told how many vectors a user has.
        reader: Finds what `forget_scope` deletes.
    """

    def __init__(self, connection: Connection, prefix: str, promotions: Promotions, reader: Reader) -> None:
        self._connection = connection
        self._prefix = prefix
        self._promotions = promotions
        self._reader = reader

    async def add(self, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
        """See `MemoryStore.add`. Every memory is a step of its own with its statistics and the epoch."""
        keys = Keys.of(self._prefix, scope)
        first: dict[str, MemoryWrite] = {}
        for write in writes:
            first.setdefault(write.record.id, write)
        steps = list(_steps(first.values(), one_by_one=self._promotions.usable(keys) is not None))
        stored: set[str] = set()
        for start in range(0, len(steps), _AT_ONCE):
            group = steps[start : start + _AT_ONCE]
            for step, done in zip(group, await _together(self._add(keys, scope, step) for step in group), strict=True):
                stored.update(write.record.id for write, new in zip(step, done, strict=True) if new)
        return [_status(stored, write.record.id) for write in writes]

    async def _add(self, keys: Keys, scope: Scope, step: Sequence[MemoryWrite]) -> list[bool]:
        arguments: Arguments = [new_epoch(), scope.user_id, keys.base]
        for write in step:
            arguments += _memory_arguments(keys, write)
        touched = [keys.meta, keys.order, *(keys.record(write.record.id) for write in step)]
        *new, vectors = await self._connection.run("add", script("add"), touched, arguments)
        self._promotions.grown(keys, vectors)
        return [bool(one) for one in new]

    async def update(self, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
        """See `MemoryStore.update`."""
        keys = Keys.of(self._prefix, scope)
        importance = "" if change.importance is None else repr(float(change.importance))
        arguments: Arguments = [new_epoch(), keys.base, scope.project_digest or "", id]
        arguments += [str(to_microseconds(change.at)), change.type.value if change.type else "", importance]
        arguments += _text_arguments(keys, change)
        touched = [keys.meta, keys.order, keys.record(id)]
        row = await self._connection.run("update", script("update"), touched, [*arguments, *RECORD_FIELDS])
        if row is None:
            return None
        fields = {name: value for name, value in zip(_NAMES, row, strict=True) if value is not None}
        with reading("update", self._connection.location):
            return decode_memories(scope, [(id, fields)])[0].record

    async def forget(self, scope: Scope, ids: Sequence[str]) -> int:
        """See `MemoryStore.forget`."""
        keys = Keys.of(self._prefix, scope)
        distinct = list(dict.fromkeys(ids))
        steps = [distinct[start : start + _FORGET_STEP] for start in range(0, len(distinct), _FORGET_STEP)]
        deleted = 0
        for start in range(0, len(steps), _AT_ONCE):
            deleted += sum(await _together(self._forget(keys, scope, step) for step in steps[start : start + _AT_ONCE]))
        return deleted

    async def _forget(self, keys: Keys, scope: Scope, ids: Sequence[str]) -> int:
        touched = [keys.meta, keys.order, *map(keys.record, ids)]
        arguments = [new_epoch(), keys.base, scope.project_digest or "", *ids]
        deleted, before, left = await self._connection.run("forget", script("forget"), touched, arguments)
        self._promotions.shrunk(keys, before, left)
        return int(deleted)

    async def forget_scope(self, scope: Scope, types: frozenset[MemoryType], older_than: datetime | None) -> int:
        """See `MemoryStore.forget_scope`. Goes from the oldest on; one that is interrupted leaves the newer ones."""
        keys = Keys.of(self._prefix, scope)
        before = None if older_than is None else to_microseconds(older_than)
        deleted, skip = 0, b""
        while True:
            ids, skip = await self._reader.oldest(keys, scope, types, before, skip, _FORGET_SCAN)
            deleted += await self.forget(scope, ids)
            if not skip:
                return deleted

    async def touch(self, scope: Scope, ids: Sequence[str], at: datetime) -> None:
        """See `MemoryStore.touch`."""
        if not ids:
            return
        keys = Keys.of(self._prefix, scope)
        counted = Counter(ids)
        arguments = [str(to_microseconds(at)), scope.project_digest or "", *map(str, counted.values())]
        await self._connection.run("touch", script("touch"), list(map(keys.record, counted)), arguments)


def _status(stored: set[str], id: str) -> WriteStatus:
    """STORED for the first write of an id that was new; MERGED for the others."""
    if id in stored:
        stored.remove(id)
        return WriteStatus.STORED
    return WriteStatus.MERGED


def _steps(writes: Iterable[MemoryWrite], *, one_by_one: bool) -> Iterator[list[MemoryWrite]]:
    """The memories in groups small enough for one script."""
    step: list[MemoryWrite] = []
    vectors = 0
    for write in writes:
        full = len(step) >= _STEP_MEMORIES or vectors + len(write.vectors) > _STEP_VECTORS
        if step and (one_by_one or full):
            yield step
            step, vectors = [], 0
        step.append(write)
        vectors += len(write.vectors)
    if step:
        yield step


def _memory_arguments(keys: Keys, write: MemoryWrite) -> Arguments:
    record = write.record
    project = record.scope.project_digest
    fields = record_values(keys, write)
    parts = [part_values(keys, vector, record.type, project) for vector in write.vectors[1:]]
    head: Arguments = [record.id, place_of(record), record.type.value, project or "", str(write.document.length)]
    head += [str(len(fields)), str(len(write.document.stems)), str(len(parts)), str(len(parts[0]) if parts else 0)]
    return [*head, *fields, *write.document.stems, *(value for part in parts for value in part)]


def _text_arguments(keys: Keys, change: MemoryChange) -> Arguments:
    if change.content is None or change.document is None or change.vectors is None:
        return ["0"]
    fields = text_values(keys, change.document, change.content, change.vectors)
    parts = [part_values(keys, vector, None, None) for vector in change.vectors[1:]]
    stems = change.document.stems
    head: Arguments = [str(len(fields)), str(change.document.length), str(len(stems)), str(len(parts))]
    head += [str(len(parts[0]) if parts else 0)]
    return [*head, *fields, *stems, *(value for part in parts for value in part)]


async def _together(calls: Iterable[Any]) -> list[Any]:
    """The results of calls made at once. All of them end before the first error is raised."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
