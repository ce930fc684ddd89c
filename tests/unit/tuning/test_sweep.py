"""The figures, counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from router_memory.pipeline.inject import count_tokens, render
from router_memory.pipeline.shortlist import Selection, Shortlist
from router_memory.tuning import Kind, Point, Setting, Sweep
from router_memory.tuning.cases import Case, sampled
from router_memory.tuning.sweep import settings
from router_memory.types import Cut, CutoffRule, Hit, MemoryRecord, Scope

ANN = Scope("ann")
AT = datetime(2026, 3, 1, tzinfo=UTC)
FIXED = CutoffRule.FIXED
LOW, HIGH = Setting(FIXED, 0.3), Setting(FIXED, 0.7)


class Listed:
    """A shortlist of given similarities, cut at the fixed threshold."""

    def __init__(self, **similarities: float) -> None:
        self.hits = [
            Hit(
                MemoryRecord(id=name, scope=ANN, content=f"memory {name}", created_at=AT, updated_at=AT), s, s, s, 0, {}
            )
            for name, s in similarities.items()
        ]

    def select(self, threshold: float, rule: CutoffRule) -> Selection:
        hits = tuple(hit for hit in self.hits if hit.similarity >= threshold)
        return Selection(hits, Cut(threshold, threshold, rule.value, ""))


def swept(*asked: tuple[Kind, set[str], Listed]) -> dict[Setting, Point]:
    sweep = Sweep((LOW, HIGH), lambda record: record.id)
    for kind, relevant, listed in asked:
        sweep.add(Case(ANN, "?", kind, frozenset[Any](relevant)), cast("Shortlist", listed))
    return {Setting(point.rule, point.threshold): point for point in sweep.points()}


def test_labelled_questions() -> None:
    points = swept(
        (Kind.ANSWERABLE, {"a", "b"}, Listed(a=0.9, x=0.8, b=0.5)),
        (Kind.ANSWERABLE, {"c"}, Listed(y=0.6, z=0.4)),
        (Kind.UNANSWERABLE, set(), Listed(u=0.5)),
        (Kind.OTHERS, set(), Listed(v=0.9, w=0.2)),
    )
    low, high = points[LOW], points[HIGH]
    assert (low.precision, low.recall) == (2 / 5, 2 / 3)
    assert low.f1 == pytest.approx(2 * (2 / 7) * (2 / 3) / (2 / 7 + 2 / 3))
    assert (low.hit_rate, low.silence, low.silence_unanswerable, low.silence_others) == (0.5, 0.0, 0.0, 0.0)
    assert (low.balanced, low.injected, low.memories) == (0.25, 1.0, 2.0)
    assert (high.precision, high.recall) == (1 / 2, 1 / 3)
    assert (high.hit_rate, high.silence, high.silence_unanswerable, high.silence_others) == (0.5, 0.5, 1.0, 0.0)
    assert (high.balanced, high.injected, high.memories) == (0.5, 1 / 3, 2 / 3)


def test_tokens_are_those_of_the_block_and_of_the_users_own_questions() -> None:
    listed = Listed(a=0.9, b=0.5)
    points = swept((Kind.UNLABELLED, set(), listed), (Kind.UNLABELLED, set(), Listed()), (Kind.OTHERS, set(), listed))
    assert points[LOW].tokens == count_tokens(render(listed.hits)) / 2
    assert points[HIGH].tokens == count_tokens(render(listed.hits[:1])) / 2


def test_without_labels_there_is_no_precision() -> None:
    point = swept((Kind.UNLABELLED, set(), Listed(a=0.9)), (Kind.OTHERS, set(), Listed()))[LOW]
    assert (point.precision, point.recall, point.f1, point.hit_rate) == (None, None, None, None)
    assert (point.injected, point.silence_others, point.balanced) == (1.0, 1.0, 1.0)


def test_where_nothing_is_injected_no_share_of_it_is_right() -> None:
    point = swept((Kind.ANSWERABLE, {"a"}, Listed(a=0.2)))[LOW]
    assert (point.precision, point.recall, point.f1, point.silence, point.balanced) == (None, 0.0, 0.0, None, None)


def test_a_memory_in_parts_is_found_once() -> None:
    """Two memories of one message are two that are right, and one piece of evidence."""
    sweep = Sweep((LOW,), lambda record: record.id[0])
    case = Case(ANN, "?", Kind.ANSWERABLE, frozenset({"a", "b"}))
    sweep.add(case, cast("Shortlist", Listed(a1=0.9, a2=0.8)))
    (point,) = sweep.points()
    assert (point.precision, point.recall) == (1.0, 0.5)


def test_thresholds_are_hundredths_and_what_is_configured() -> None:
    tried = settings((FIXED, CutoffRule.RELATIVE), Setting(FIXED, 0.655))
    assert len(tried) == 201
    assert [one.threshold for one in tried if one.rule is FIXED][64:67] == [0.65, 0.655, 0.66]
    assert min(one.threshold for one in tried) == 0.01
    assert len(settings((FIXED,), Setting(FIXED, 0.65))) == 100


def test_a_sample_is_the_same_each_time_and_in_order() -> None:
    numbers = list(range(100))
    assert sampled(numbers, 10, 1) == sampled(numbers, 10, 1) == sorted(sampled(numbers, 10, 1))
    assert sampled(numbers, 10, 1) != sampled(numbers, 10, 2)
    assert sampled(numbers, None, 1) == sampled(numbers, 100, 1) == numbers
