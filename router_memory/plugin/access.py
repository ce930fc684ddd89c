"""Access tracking: which memories were injected, counted in the background and written in batches."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from router_memory.errors import BackendUnavailable, RouterMemoryError
from router_memory.protocols import MemoryStore
from router_memory.types import Scope

__all__ = ["AccessTracker"]

_log = logging.getLogger("router_memory.access")

FLUSH_SECONDS = 1.0
"""How long accesses are collected before they are written."""
MAX_PENDING = 10_000
"""Most ids held back; further ones are dropped and counted."""


class AccessTracker:
    """Collects accesses and writes them once a second. Losing some at a crash is acceptable; delaying a chat is not."""

    def __init__(self, store: MemoryStore, *, counters: Counter[str]) -> None:
        self._store = store
        self._counters = counters
        self._pending: dict[Scope, tuple[list[str], datetime]] = {}
        self._size = 0
        self._flushing = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None
        self._closed = False

    def record(self, scope: Scope, ids: Iterable[str], at: datetime) -> None:
        """Notes accesses. Never waits."""
        fresh = list(ids)
        if self._closed or self._size + len(fresh) > MAX_PENDING:
            self._counters["access.dropped"] += len(fresh)
            return
        known, _ = self._pending.get(scope, ([], at))
        self._pending[scope] = (known + fresh, at)
        self._size += len(fresh)
        if self._timer is None or self._timer.done():
            self._timer = asyncio.create_task(self._later(), name="router-memory-access")

    async def flush(self) -> None:
        """Writes what was collected, one flush after the other.

        A store that does not answer costs the counts collected so far, nothing else.
        """
        async with self._flushing:
            pending, self._pending, self._size = self._pending, {}, 0
            while pending:
                scope, (ids, at) = pending.popitem()
                try:
                    await self._store.touch(scope, ids, at)
                except RouterMemoryError as error:
                    lost = len(ids)
                    if isinstance(error, BackendUnavailable):
                        lost += sum(len(rest) for rest, _ in pending.values())
                        pending.clear()
                    self._counters["access.failed"] += lost
                    _log.warning("%d access counts lost: %s", lost, error)

    async def close(self, seconds: float) -> None:
        """Takes no more and writes what is left, for at most `seconds`."""
        self._closed = True
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except TimeoutError:
            _log.warning("closing with access counts not written after %.1f s", seconds)
        finally:
            if self._timer is not None:
                self._timer.cancel()
                await asyncio.gather(self._timer, return_exceptions=True)

    async def _later(self) -> None:
        while self._pending:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()
