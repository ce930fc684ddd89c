"""Figures out of an exposition."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from router_memory.interfaces.http.operations.figures import FEW, Figures


def exposed(*, seconds: list[float], counts: dict[str, int]) -> Figures:
    registry = CollectorRegistry()
    took = Histogram("took_seconds", "T.", ["stage"], registry=registry, buckets=(0.1, 0.2, 0.4))
    for each in seconds:
        took.labels("embed").observe(each)
    done = Counter("done_total", "D.", ["status", "name"], registry=registry)
    for status, count in counts.items():
        done.labels(status, 'a "b", c').inc(count)
    return Figures(generate_latest(registry))


def test_counters_are_summed_by_label() -> None:
    figures = exposed(seconds=[], counts={"ok": 3, "failed": 1})
    assert figures.by("done_total", "status") == {("ok",): 3, ("failed",): 1}
    assert (figures.total("done_total"), figures.total("done_total", status="ok")) == (4, 3)
    assert figures.total("nothing_total") == 0


def test_quantiles_lie_in_their_buckets() -> None:
    summary = exposed(seconds=[0.05] * 50 + [0.15] * 45 + [0.3] * 5, counts={}).summaries("took_seconds", "stage")[
        "embed"
    ]
    assert summary.count == 100
    assert (summary.p50, summary.p95) == pytest.approx((0.1, 0.2))
    assert summary.p99 is not None
    assert 0.2 < summary.p99 <= 0.4


def test_what_is_beyond_the_last_bucket_is_the_last_bound() -> None:
    assert exposed(seconds=[9.0] * FEW, counts={}).summary("took_seconds").p50 == 0.4


def test_few_observations_give_the_bound_of_their_bucket() -> None:
    summary = exposed(seconds=[0.15] * (FEW - 1), counts={}).summary("took_seconds")
    assert (summary.p50, summary.p95, summary.p99, summary.at_most) == (0.2, 0.2, 0.2, True)
    assert not exposed(seconds=[0.15] * FEW, counts={}).summary("took_seconds").at_most


def test_few_observations_beyond_the_last_bucket_have_no_bound() -> None:
    assert exposed(seconds=[9.0], counts={}).summary("took_seconds").p50 is None


def test_quantiles_have_two_digits() -> None:
    summary = exposed(seconds=[0.15] * 30, counts={}).summary("took_seconds")
    assert (summary.p50, summary.p95, summary.p99) == (0.15, 0.2, 0.2)  # 0.195 and 0.199 to three


def test_an_empty_histogram_comes_to_nothing() -> None:
    assert exposed(seconds=[], counts={}).summary("took_seconds").described() == {
        "count": 0,
        "p50": None,
        "p95": None,
        "p99": None,
        "at_most": False,
    }


def test_what_was_added_since() -> None:
    before = exposed(seconds=[0.05] * 10, counts={"ok": 1})
    after = exposed(seconds=[0.05] * 10 + [0.3] * 2, counts={"ok": 4})
    added = after.since(before)
    assert added.total("done_total") == 3
    assert added.summary("took_seconds").count == 2
    assert added.summary("took_seconds").p50 == 0.4
