"""Counts and times."""

from __future__ import annotations

from collections import Counter

import pytest

from router_memory.cache import Meters
from router_memory.cache import meters as module


def test_events_are_counted_among_others() -> None:
    """Under a name of their own."""
    counters = Counter({"requests": 3, "cachet": 1})
    meters = Meters(counters)
    meters.count("hit")
    meters.count("bytes", 10)
    meters.count("bytes", 5)
    assert meters.counts() == {"hit": 1, "bytes": 15}
    assert counters == Counter({"requests": 3, "cachet": 1, "cache.hit": 1, "cache.bytes": 15})


def test_times_are_summed_and_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there were."""
    now = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "_LATEST", 100)
    meters = Meters(Counter())
    for number in range(1, 301):
        now[0] = float(number)
        meters.time("look", 0.0)
    meters.time("fill", 299.0)
    look, fill = meters.latencies()["look"], meters.latencies()["fill"]
    assert [look.count, look.total, look.p50, look.p95, look.p99] == [300, 45_150.0, 251.0, 296.0, 300.0]
    assert [fill.count, fill.total, fill.p50, fill.p99] == [1, 1.0, 1.0, 1.0]
