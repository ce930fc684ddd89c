"""What the cache has seen: events counted and times of the latest calls."""

from __future__ import annotations

from collections import Counter, deque
from time import perf_counter

from router_memory.types import LatencySummary

__all__ = ["Meters"]

_LATEST = 4096


class Meters:
    """Counts and times, by name. Never by user.

    Args:
        counters: Where events are counted, each under ``cache.`` and its name.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._latest: dict[str, deque[float]] = {}
        self._totals: dict[str, list[float]] = {}

    def count(self, event: str, times: int = 1) -> None:
        """Counts an event."""
        self._counters[f"cache.{event}"] += times

    def time(self, name: str, since: float) -> None:
        """Takes the time since a moment on the clock of `time.perf_counter`."""
        seconds = perf_counter() - since
        latest = self._latest.get(name)
        if latest is None:
            latest, self._totals[name] = self._latest.setdefault(name, deque(maxlen=_LATEST)), [0, 0.0]
        latest.append(seconds)
        totals = self._totals[name]
        totals[0] += 1
        totals[1] += seconds

    def counts(self) -> dict[str, int]:
        """Events so far, without the ``cache.`` before their names."""
        mark = "cache."
        return {name.removeprefix(mark): count for name, count in self._counters.items() if name.startswith(mark)}

    def latencies(self) -> dict[str, LatencySummary]:
        """Times so far."""
        return {name: self._summary(name, sorted(latest)) for name, latest in self._latest.items()}

    def _summary(self, name: str, latest: list[float]) -> LatencySummary:
        count, total = self._totals[name]

        def quantile(share: float) -> float:
            return latest[min(len(latest) - 1, int(share * len(latest)))]

        return LatencySummary(count=int(count), total=total, p50=quantile(0.50), p95=quantile(0.95), p99=quantile(0.99))
