"""What is asked of a memory every second: gauges, and how far its counters have come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from router_memory.errors import RouterMemoryError
from router_memory.telemetry.labels import Bounded

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin
    from router_memory.telemetry.metrics import Metrics

__all__ = ["Sampler"]

_CACHE = "cache."
_EVENTS = (
    "evicted fill_dropped fill_failed fill_kept fill_refused fill_unfit joined level_1_dead level_1_hit level_2_dead "
    "level_2_expired level_2_hit level_2_skipped level_2_unreadable look_failed miss probe_failed purge purge_failed "
    "vector_hit vector_joined vector_miss"
).split()
_LABEL = str.maketrans(" .", "__")


class Sampler:
    """Looks at the memories of a process: the one that serves, and those before it that are not closed yet.

    Args:
        metrics: Where the figures go.
        breaker: Called when the breaker before level 2 of the hot cache opens (true) or closes.
    """

    def __init__(self, metrics: Metrics, *, breaker: Callable[[bool], None]) -> None:
        self._metrics = metrics
        self._breaker = breaker
        self._breaker_open = False
        self._watched: list[tuple[MemoryPlugin, dict[str, int]]] = []
        self._generations = 0
        self._event = Bounded(_EVENTS)

    def watch(self, memory: MemoryPlugin) -> None:
        """Looks at one more, which serves from now on."""
        if any(memory is known for known, _ in self._watched):
            return
        self._watched.append((memory, {}))
        self._generations += 1

    def sample(self) -> None:
        """Looks at all of them. One that was closed is looked at for the last time."""
        figures: list[Mapping[str, float]] = []
        for memory, seen in tuple(self._watched):
            self._count(memory, seen)
            try:
                figures.append(memory.gauges())
            except RouterMemoryError:  # it is closed
                self._watched.remove((memory, seen))
        metrics = self._metrics
        metrics.queue().set(_sum(figures, "queue_depth"))
        metrics.cache_entries("answers").set(_sum(figures, "cache_answers"))
        metrics.cache_entries("vectors").set(_sum(figures, "cache_vectors"))
        metrics.cache_bytes().set(_sum(figures, "cache_bytes"))
        metrics.backlog().set(max((found["backlog_seconds"] for found in figures), default=0.0))
        metrics.generation().set(self._generations)
        self._note_breaker(bool(figures) and bool(figures[-1].get("cache_breaker_open")))

    def _count(self, memory: MemoryPlugin, seen: dict[str, int]) -> None:
        """Counts what has happened since the last look."""
        for name, count in memory.counters.items():
            if not name.startswith(_CACHE) or name == "cache.fill.bytes":
                continue
            more = count - seen.get(name, 0)
            seen[name] = count
            event = self._event(name.removeprefix(_CACHE).translate(_LABEL))
            if more > 0:
                self._metrics.cache_events(event).inc(more)

    def _note_breaker(self, is_open: bool) -> None:
        self._metrics.cache_breaker().set(is_open)
        if is_open is not self._breaker_open:
            self._breaker_open = is_open
            self._breaker(is_open)


def _sum(figures: Iterable[Mapping[str, float]], name: str) -> float:
    return sum(found.get(name, 0.0) for found in figures)
