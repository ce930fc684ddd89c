"""Memories out of one store and into another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable

from router_memory import arguments
from router_memory.memory.parts import Parts
from router_memory.pipeline.transfer import batches, every_memory
from router_memory.types import MemoryRecord, Restored, Scope, WriteStatus
from router_memory.wiring import Assembly

__all__ = ["Moving"]


class Moving(Parts):
    """The part of `MemoryPlugin` that moves memories."""

    def export(self, scope: Scope | None = None) -> AsyncGenerator[MemoryRecord, None]:
        """Every memory of the scope, or of all users, a user after the other, each newest first.

        They are read a page at a time while requests go on. Turns accepted before are written first. A memory that
        is there all the while is given once; of all users, some 100 bytes for each are kept to that end. No model
        is needed.

        Args:
            scope: A user, maybe narrowed to a project; ``None`` for all users.
        """
        parts = self._ready("export")
        if scope is not None:
            arguments.check_scope(scope)
        return _exported(parts, scope)

    async def restore(self, records: Iterable[MemoryRecord] | AsyncIterable[MemoryRecord]) -> Restored:
        """Stores memories as they are: those of `export`, maybe of another store or with another model.

        Ids, owners, times, counts and everything else stay; only vectors and stems are made anew. What is there
        already is left alone, so a call that failed can be repeated. Records are taken as they come and stored in
        batches.

        Raises:
            InvalidRequest: A record is not fit to be stored; the message says which, counted from 1. Those before
                it are stored.
        """
        return await self._restore(records, first=1)

    async def _restore(self, records: Iterable[MemoryRecord] | AsyncIterable[MemoryRecord], *, first: int) -> Restored:
        parts = self._ready("restore")
        stored = merged = 0
        async for batch in batches(records, first=first):
            statuses = await parts.remember.records(batch)
            stored += statuses.count(WriteStatus.STORED)
            merged += statuses.count(WriteStatus.MERGED)
        return Restored(stored, merged)


async def _exported(parts: Assembly, scope: Scope | None) -> AsyncGenerator[MemoryRecord, None]:
    if scope is None:
        await parts.plugin.drain()
    else:
        await parts.plugin.settle(scope)
    async for record in every_memory(parts.store, scope):
        yield record
