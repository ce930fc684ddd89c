"""A store whose writes are seen by the cache before it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from router_memory.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from datetime import datetime
    from typing import Any, TypeVar

    from router_memory.cache.epochs import Epochs
    from router_memory.cache.local import LocalCache
    from router_memory.cache.shared import SharedCache
    from router_memory.protocols import MemoryStore
    from router_memory.types import (
        CandidateQuery,
        CandidateSet,
        Finding,
        LexicalStatistics,
        MemoryChange,
        MemoryRecord,
        MemoryType,
        MemoryWrite,
        Page,
        Scope,
        StoreStats,
        WriteStatus,
    )

    _T = TypeVar("_T")

__all__ = ["CachedStore"]

_CLOSE_SECONDS = 2.0


class CachedStore:
    """Passes everything on to a store; implements `MemoryStore`.

    After a write the user's epoch is asked for anew, whether the write is known to have taken effect or not. What was
    forgotten or replaced leaves both levels of the cache as well.

    Args:
        store: The store.
        epochs: Told of writes.
        local: Level 1.
        shared: Level 2; ``None`` when there is none.
    """

    def __init__(self, store: MemoryStore, *, epochs: Epochs, local: LocalCache, shared: SharedCache | None) -> None:
        self._store = store
        self._epochs = epochs
        self._local = local
        self._shared = shared
        self._erasures: set[asyncio.Task[Any]] = set()

    @property
    def name(self) -> str:
        """See `MemoryStore.name`."""
        return self._store.name

    @property
    def epoch_is_inline(self) -> bool:
        """See `MemoryStore.epoch_is_inline`."""
        return self._store.epoch_is_inline

    @property
    def index_progress(self) -> float:
        """See `MemoryStore.index_progress`."""
        return self._store.index_progress

    async def open(self) -> None:
        """See `MemoryStore.open`."""
        await self._store.open()

    async def close(self) -> None:
        """See `MemoryStore.close`."""
        if self._erasures:
            await asyncio.wait(self._erasures, timeout=_CLOSE_SECONDS)
        await self._store.close()
        if self._erasures:  # those that go on fail now
            await asyncio.wait(self._erasures, timeout=_CLOSE_SECONDS)

    async def epoch(self, scope: Scope) -> str:
        """See `MemoryStore.epoch`."""
        return await self._store.epoch(scope)

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """See `MemoryStore.statistics`."""
        return await self._store.statistics(scope, stems)

    async def candidates(self, query: CandidateQuery, *, within: float | None = None) -> CandidateSet:
        """See `MemoryStore.candidates`."""
        return await self._store.candidates(query, within=within)

    async def add(self, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
        """See `MemoryStore.add`."""
        try:
            return await self._store.add(scope, writes)
        finally:
            self._epochs.wrote(scope)

    async def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """See `MemoryStore.get`."""
        return await self._store.get(scope, id)

    async def contains(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        """See `MemoryStore.contains`."""
        return await self._store.contains(scope, ids)

    async def list(
        self,
        scope: Scope,
        *,
        types: frozenset[MemoryType] = frozenset(),
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """See `MemoryStore.list`."""
        return await self._store.list(scope, types=types, limit=limit, cursor=cursor)

    async def update(self, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
        """See `MemoryStore.update`."""
        return await self._erasing(scope, self._store.update(scope, id, change))

    async def forget(self, scope: Scope, ids: Sequence[str]) -> int:
        """See `MemoryStore.forget`."""
        return await self._erasing(scope, self._store.forget(scope, ids))

    async def forget_scope(
        self, scope: Scope, *, types: frozenset[MemoryType] = frozenset(), older_than: datetime | None = None
    ) -> int:
        """See `MemoryStore.forget_scope`."""
        return await self._erasing(scope, self._store.forget_scope(scope, types=types, older_than=older_than))

    async def count(self, scope: Scope, *, types: frozenset[MemoryType] = frozenset()) -> int:
        """See `MemoryStore.count`."""
        return await self._store.count(scope, types=types)

    async def touch(self, scope: Scope, ids: Sequence[str], at: datetime) -> None:
        """See `MemoryStore.touch`. The epoch stays, and so does what is cached."""
        await self._store.touch(scope, ids, at)

    def users(self) -> AsyncIterator[str]:
        """See `MemoryStore.users`."""
        return self._store.users()

    async def stats(self) -> StoreStats:
        """See `MemoryStore.stats`."""
        return await self._store.stats()

    async def examine(self, *, planned: int | None = None) -> tuple[Finding, ...]:
        """See `MemoryStore.examine`."""
        return await self._store.examine(planned=planned)

    async def _erasing(self, scope: Scope, write: Coroutine[Any, Any, _T]) -> _T:
        """The result of a write that takes something away, once the cache is rid of it too.

        A caller that is cancelled leaves it to go on by itself: a store may write on, and what is cached until then
        must not stay.
        """
        erasure = asyncio.create_task(self._erase(scope, write), name="router-memory-erase")
        self._erasures.add(erasure)
        erasure.add_done_callback(self._ended)
        return await asyncio.shield(erasure)

    async def _erase(self, scope: Scope, write: Coroutine[Any, Any, _T]) -> _T:
        try:
            result = await write
        except InvalidRequest:
            raise
        except (Exception, asyncio.CancelledError):  # what became of it may be unknown
            await self._purge(scope)
            raise
        await self._purge(scope)
        return result

    async def _purge(self, scope: Scope) -> None:
        self._epochs.wrote(scope)
        self._local.purge(scope)
        if self._shared is not None:
            await self._shared.purge(scope)

    def _ended(self, erasure: asyncio.Task[Any]) -> None:
        self._erasures.discard(erasure)
        if not erasure.cancelled():
            erasure.exception()  # whoever waited for it may be gone
