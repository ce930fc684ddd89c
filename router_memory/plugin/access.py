"""Access tracking: which memories were injected, counted in the background and written in batches."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from router_memory.errors import RouterMemoryError
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
        self._task: asyncio.Task[None] | None = None

    def record(self, scope: Scope, ids: Iterable[str], at: datetime) -> None:
        """Notes accesses. Never waits."""
        fresh = list(ids)
        if self._size + len(fresh) > MAX_PENDING:
            self._counters["access.dropped"] += len(fresh)
            return
        known, _ = self._pending.get(scope, ([], at))
        self._pending[scope] = (known + fresh, at)
        self._size += len(fresh)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._later(), name="router-memory-access")

    async def flush(self) -> None:
        """Writes what was collected. A store that fails costs the counts, nothing else."""
        pending, self._pending, self._size = self._pending, {}, 0
        for scope, (ids, at) in pending.items():
            try:
                await self._store.touch(scope, ids, at)
            except RouterMemoryError as error:
                self._counters["access.failed"] += len(ids)
                _log.warning("access counts lost: %s", error)

    async def close(self) -> None:
        """Stops the timer and writes what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def _later(self) -> None:
        while self._pending:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()
