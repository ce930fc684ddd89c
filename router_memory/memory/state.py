"""What an operator asks: what store, cache and process hold and have seen."""

from __future__ import annotations

from collections.abc import Mapping

from router_memory import arguments
from router_memory.memory.parts import Parts
from router_memory.memory.readiness import Readiness
from router_memory.types import CacheServerStats, CacheStats, Finding, Scope, StoreStats
from router_memory.wiring import Assembly

__all__ = ["State"]


class State(Parts):
    """The part of `MemoryPlugin` that tells how things are."""

    def __init__(self, assembly: Assembly) -> None:
        super().__init__(assembly)
        self._readiness = Readiness(assembly)

    async def ready(self, within: float) -> tuple[Finding, ...]:
        """Whether memory can be used now: ``model``, ``store``, ``index``. For probes, which may come often.

        Costs the store at most one small read a second, whoever asks and however often. Raises nothing for what it
        finds, and works on an instance that is not open, or not any more.

        Args:
            within: Seconds that the store has to answer, > 0.
        """
        return await self._readiness.look(within)

    async def examine(self) -> tuple[Finding, ...]:
        """What `router-memory doctor` finds of configuration, model, store and cache; for operators.

        It looks at the whole store: seconds on a large one.

        Raises:
            ConfigError: The configuration does not fit the model.
        """
        return await self._ready("examine").examine()

    async def stats(self) -> StoreStats:
        """What the store holds, over all users."""
        return await self._ready("stats").store.stats()

    def cache_stats(self) -> CacheStats:
        """What the hot cache of this process holds and has seen since it was opened; all empty when it is off."""
        caches = self._ready("cache_stats").caches
        return CacheStats() if caches is None else caches.stats()

    async def cache_server_stats(self) -> CacheServerStats | None:
        """What the shared cache's server holds, for every process; ``None`` when there is none.

        It looks at every key of the cache: for operators, not for requests.

        Raises:
            BackendError: The server cannot be asked.
        """
        return await self._ready("cache_server_stats").cache_server_stats()

    async def clear_cache(self, scope: Scope | None = None) -> int:
        """Empties the hot cache, in this process and on the server; memories stay. Other processes keep level 1.

        Args:
            scope: A user, of whom all projects go; ``None`` for all users and the query vectors, which are nobody's.

        Returns:
            How many entries there were; of one user, those of this process.

        Raises:
            BackendError: The server did not do it; this process's part is empty.
        """
        if scope is not None:
            arguments.check_scope(scope)
        return await self._ready("clear_cache").clear_cache(scope)

    @property
    def counters(self) -> Mapping[str, int]:
        """Outcomes since the start, by name; never holds a user id."""
        return dict(self._parts.counters)

    @property
    def queue_depth(self) -> int:
        """Number of turns accepted and not yet written."""
        return self._parts.plugin.queue_depth if hasattr(self._parts, "plugin") else 0

    def gauges(self) -> Mapping[str, float]:
        """Figures of this moment that cost microseconds, to be sampled every second, by name.

        ``queue_depth`` in turns and ``backlog_seconds`` of the embedder; with the hot cache also ``cache_answers``,
        ``cache_vectors`` and ``cache_bytes`` of level 1, and with level 2 ``cache_breaker_open``, 0 or 1.
        """
        parts = self._ready("gauges")
        found: dict[str, float] = {
            "queue_depth": parts.plugin.queue_depth,
            "backlog_seconds": parts.embedder.backlog_seconds(),
        }
        caches = parts.caches
        if caches is not None:
            found["cache_answers"] = len(caches.local)
            found["cache_vectors"] = len(caches.embedder)
            found["cache_bytes"] = caches.local.bytes + caches.embedder.nbytes
            if caches.shared is not None:
                found["cache_breaker_open"] = caches.shared.breaker == "open"
        return found

    @property
    def backend(self) -> str:
        """Name of the backend as in the configuration."""
        return self._parts.config.backend

    @property
    def decisions(self) -> tuple[str, ...]:
        """Names of the decisions the configuration knows."""
        return tuple(self._parts.config.decisions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the configuration asks for that has no effect here, or not the full one."""
        return self._parts.warnings
