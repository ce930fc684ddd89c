"""What the store and the cache's server hold, looked at in the background and kept for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from router_memory.errors import RouterMemoryError
from router_memory.plugin.describe import describe

if TYPE_CHECKING:
    from router_memory.service import Generation

__all__ = ["FRESH_SECONDS", "PATIENCE_SECONDS", "Inventory"]

FRESH_SECONDS = 30.0
"""How long an inventory is given again: taking one looks at everything there is."""
PATIENCE_SECONDS = 5.0
"""How long somebody who asks waits for it; it goes on meanwhile."""

_PENDING: dict[str, Any] = {
    "store": {"error": "the store is still being looked at"},
    "cache_server": None,
    "findings": [],
}


class Inventory:
    """Takes an inventory when asked, one at a time, and remembers it."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._at = 0.0
        self._of = 0
        self._taking: asyncio.Task[None] | None = None

    async def of(self, generation: Generation) -> dict[str, Any]:
        """``store``, ``cache_server`` and ``findings``, with ``inventory_at``; an older one where that is slow."""
        fresh = self._found and self._of == generation.number and monotonic() - self._at < FRESH_SECONDS
        if not fresh:
            if self._taking is None or self._taking.done():
                self._taking = asyncio.create_task(self._take(generation), name="router-memory-inventory")
            await asyncio.wait([self._taking], timeout=PATIENCE_SECONDS)
        return self._found or _PENDING

    async def _take(self, generation: Generation) -> None:
        generation.take()
        try:
            memory = generation.memory
            store = await _or_error(memory.stats())
            cache_server = await _or_error(memory.cache_server_stats())
            findings = await _or_error(memory.examine())
        finally:
            generation.leave()
        self._found = {
            "store": store,
            "cache_server": cache_server,
            "findings": findings if isinstance(findings, list) else [],
            "inventory_at": datetime.now(UTC),
        }
        self._of, self._at = generation.number, monotonic()


async def _or_error(asked: Awaitable[object]) -> Any:
    try:
        return describe(await asked)
    except RouterMemoryError as error:
        return {"error": error.message}
