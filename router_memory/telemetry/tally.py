"""What searches found and what became of turns, counted: once for requests, once for the memory API and MCP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from router_memory.types import CacheLevel, Reason, Status, WriteStatus

if TYPE_CHECKING:
    from router_memory.plugin.writes import Receipt
    from router_memory.telemetry.metrics import Metrics
    from router_memory.types import Outcome, Recollection

__all__ = ["Tally"]

_MOST_PENDING = 100_000
"""Receipts waiting for their end; the write queue holds far fewer."""
_LOOKED_UP = (CacheLevel.OFF, CacheLevel.MISS)
_STORED = {
    WriteStatus.STORED: "success",
    WriteStatus.MERGED: "success",
    WriteStatus.FAILED: "error",
    WriteStatus.UNKNOWN: "error",
}
_LEVELS = {level: level.value.replace(" ", "_") for level in CacheLevel}


class Tally:
    """Counts searches, answers of the cache, and turns once their end is known.

    Args:
        metrics: Where the figures go.
        store_seen: Called with whether the store was away, where a search shows it.

    Attributes:
        backend: Label of what is counted from now on.
    """

    def __init__(self, metrics: Metrics, *, store_seen: Callable[[bool], None]) -> None:
        self.backend = "unknown"
        self._metrics = metrics
        self._store_seen = store_seen
        self._pending: deque[Receipt] = deque(maxlen=_MOST_PENDING)

    def request(self, outcome: Outcome, total: float) -> None:
        """Counts the search of a request, if there was one; and sees from it whether the store answers.

        Args:
            outcome: What memory did.
            total: Seconds that it took.
        """
        found, reason = outcome.explain.recollection, outcome.reason
        if found is not None:
            took = total - outcome.explain.seconds.get("inject", 0.0)
            self.search("retrieve", took, len(found.hits), failed=False)
            self._cached(found)
            if outcome.explain.injected_tokens:
                self._metrics.injected_tokens().observe(outcome.explain.injected_tokens)
            if found.cache in _LOOKED_UP:
                self._store_seen(False)
        elif outcome.status is Status.UNAVAILABLE and reason is not Reason.CLOSED:
            self.search("retrieve", total, 0, failed=True)
            if reason is Reason.STORE_UNAVAILABLE:
                self._store_seen(True)

    def search(self, operation: str, seconds: float, results: int, *, failed: bool) -> None:
        """Counts a search: ``retrieve`` for a request, ``search`` for whoever asked for one."""
        metrics, backend = self._metrics, self.backend
        metrics.retrieval_latency(backend, operation).observe(seconds)
        if failed:
            metrics.retrieval(backend, "error").inc()
            return
        metrics.retrieval(backend, "hit" if results else "miss").inc()
        metrics.retrieval_results(backend).observe(results)

    def receipt(self, receipt: Receipt) -> None:
        """Counts a turn once its end is known."""
        self._pending.append(receipt)
        self.settle()

    def settle(self) -> None:
        """Counts those whose end is known. They end in the order they came, so the first one that has not is enough."""
        while self._pending and self._pending[0].done:
            for result in self._pending.popleft().results:
                self._metrics.writes(result.status).inc()
                stored = _STORED.get(result.status)
                if stored is not None:
                    self._metrics.store_operations(self.backend, "store", stored).inc()

    def _cached(self, found: Recollection) -> None:
        if found.cache is CacheLevel.OFF:
            return
        metrics = self._metrics
        metrics.cache_answers(_LEVELS[found.cache]).inc()
        if found.cache is CacheLevel.MISS:
            metrics.cache_misses().inc()
            return
        metrics.cache_hits().inc()
        stage = "joined" if found.cache is CacheLevel.JOINED else "cache"
        metrics.cache_latency().observe(found.seconds.get(stage, 0.0))
