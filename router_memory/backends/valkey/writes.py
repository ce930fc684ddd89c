"""What writes: each memory in one script, with its statistics and a new epoch; many memories in short scripts."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from router_memory.backends.valkey.damage import reading
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.records import (
    RECORD_FIELDS,
    decode_memories,
    encode_origin,
    encode_state,
    encode_text,
    encode_vectors,
    place_of,
    stem_tags,
)
from router_memory.backends.valkey.scripts import script
from router_memory.errors import BackendError, IndexMismatch
from router_memory.storage import new_epoch, to_microseconds
from router_memory.types import MemoryChange, MemoryRecord, MemoryType, MemoryWrite, Scope, WriteStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.index import MainIndex
    from router_memory.backends.valkey.promotion import Promotions
    from router_memory.backends.valkey.reads import Reader

__all__ = ["Writer"]

_STEP_MEMORIES = 8
_STEP_VECTORS = 16
"""Most memories and vectors written by one script, which holds up the server for a fraction of a millisecond."""
_AT_ONCE = 2
"""Scripts in one round trip: the server runs them one after the other before it looks at other clients."""
_STEP_TOUCHES = 64
_FORGET_SCAN = 512

_NAMES = tuple(name.encode() for name in RECORD_FIELDS)

Arguments = list[str | bytes]
Call = tuple[list[str], Arguments]


class Writer:
    """Writes.

    Args:
        connection: The server.
        index: Over everything.
        promotions: Are told how many vectors a user has.
        reader: Finds what `forget_scope` deletes.
    """

    def __init__(self, connection: Connection, index: MainIndex, promotions: Promotions, reader: Reader) -> None:
        self._connection = connection
        self._index = index
        self._prefix = index.prefix
        self._promotions = promotions
        self._reader = reader

    async def add(self, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
        """See `MemoryStore.add`. Every memory is a step of its own with its statistics and the epoch."""
        keys = Keys.of(self._prefix, scope)
        first: dict[str, MemoryWrite] = {}
        for write in writes:
            first.setdefault(write.record.id, write)
        slow = self._promotions.has_graph(keys)
        steps = list(_steps(first.values(), one_by_one=slow))
        at_once = 1 if slow else _AT_ONCE
        groups = [steps[start : start + at_once] for start in range(0, len(steps), at_once)]
        stored: set[str] = set()
        under_way: asyncio.Task[set[str]] | None = None
        try:
            for group in groups:  # the server works on one while the next is encoded
                calls = [_add_call(keys, scope, step, self._token()) for step in group]
                if under_way is not None:
                    stored |= await under_way
                under_way = asyncio.create_task(self._add(keys, group, calls))
                await asyncio.sleep(0)
            if under_way is not None:
                stored |= await under_way
        finally:
            if under_way is not None:
                under_way.cancel()
        return [_status(stored, write.record.id) for write in writes]

    async def _add(self, keys: Keys, steps: Sequence[Sequence[MemoryWrite]], calls: Sequence[Call]) -> set[str]:
        """The ids that were new."""
        stored: set[str] = set()
        for step, reply in zip(steps, await self._run("add", keys, calls), strict=True):
            if reply is None:
                raise self._foreign("add")
            *new, vectors, first = reply
            stored.update(write.record.id for write, one in zip(step, new, strict=True) if one)
            self._promotions.grown(keys, vectors)
            if first:  # a user is new, or everything was flushed and is another embedder's by now
                self._index.look_again()
        return stored

    def _token(self) -> str:
        """What this store's vectors are."""
        return self._index.layout.token if self._index.layout is not None else ""

    def _foreign(self, operation: str) -> IndexMismatch:
        self._index.missing()
        return self._index.foreign_data(operation)

    async def _run(self, operation: str, keys: Keys, calls: Sequence[Call]) -> list[Any]:
        """The replies of a script to several calls, which all end before the first error is raised."""
        if len(calls) == 1:
            return [await self._connection.run(operation, script(operation), *calls[0])]
        replies = await self._connection.run_all(operation, script(operation), calls, key=keys.meta)
        for reply in replies:
            if isinstance(reply, BackendError):
                raise reply
        return replies

    async def update(self, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
        """See `MemoryStore.update`."""
        keys = Keys.of(self._prefix, scope)
        importance = "" if change.importance is None else repr(float(change.importance))
        kind = change.type.value if change.type else ""
        arguments: Arguments = [new_epoch(), keys.user, keys.base, scope.project_digest or "", id]
        arguments += [str(to_microseconds(change.at)), kind, importance]
        if change.content is not None and change.document is not None and change.vectors is not None:
            text = encode_text(change.content, change.document, len(change.vectors))
            tags, vectors = stem_tags(keys, change.document), encode_vectors(change.vectors)
            arguments += [text, tags, vectors, self._token()]
        row = await self._connection.run(
            "update", script("update"), [keys.meta, keys.order, keys.record(id)], arguments
        )
        if row is None:
            return None
        if row == -1:
            raise self._foreign("update")
        with reading("update", self._connection.location):
            return decode_memories(scope, [(id, dict(zip(_NAMES, row, strict=True)))])[0][0]

    async def forget(self, scope: Scope, ids: Sequence[str]) -> int:
        """See `MemoryStore.forget`."""
        keys = Keys.of(self._prefix, scope)
        distinct = list(dict.fromkeys(ids))
        size, at_once = (1, 1) if self._promotions.has_graph(keys) else (_STEP_MEMORIES, _AT_ONCE)
        steps = [distinct[start : start + size] for start in range(0, len(distinct), size)]
        total = 0
        for start in range(0, len(steps), at_once):
            calls = [_forget_call(keys, scope, step) for step in steps[start : start + at_once]]
            for deleted, before, left in await self._run("forget", keys, calls):
                self._promotions.shrunk(keys, before, left)
                total += deleted
        return total

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
        counted = list(Counter(ids).items())
        for start in range(0, len(counted), _STEP_TOUCHES):
            step = dict(counted[start : start + _STEP_TOUCHES])
            arguments = [str(to_microseconds(at)), scope.project_digest or "", *map(str, step.values())]
            await self._connection.run("touch", script("touch"), list(map(keys.record, step)), arguments)


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


def _add_call(keys: Keys, scope: Scope, step: Sequence[MemoryWrite], token: str) -> Call:
    arguments: Arguments = [new_epoch(), scope.user_id, keys.user, keys.base, token]
    for write in step:
        record, document = write.record, write.document
        project = record.scope.project_digest or ""
        head = [
            record.id,
            place_of(record),
            record.type.value,
            project,
            encode_state(record),
            stem_tags(keys, document),
        ]
        text = encode_text(record.content, document, len(write.vectors))
        arguments += [orjson.dumps(head), encode_origin(record), text, encode_vectors(write.vectors)]
    return [keys.meta, keys.order, *(keys.record(write.record.id) for write in step)], arguments


def _forget_call(keys: Keys, scope: Scope, ids: Sequence[str]) -> Call:
    touched = [keys.meta, keys.order, *map(keys.record, ids)]
    return touched, [new_epoch(), keys.base, scope.project_digest or "", *ids]
