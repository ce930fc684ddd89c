"""A timeline for a process that serves nobody itself: the parent of the workers."""

from __future__ import annotations

from pathlib import Path

from router_memory.telemetry.metrics import event_counter
from router_memory.telemetry.registry import Registry
from router_memory.telemetry.timeline import Timeline

__all__ = ["counted_timeline"]


def counted_timeline(folder: Path) -> Timeline:
    """A timeline whose events are among the metrics of the workers; one for each folder and process.

    Args:
        folder: Where the workers keep their metrics.

    Raises:
        MissingExtra: prometheus-client is not installed.
    """
    events = event_counter(Registry(folder))
    return Timeline(noted=lambda kind: events(kind).inc())
