"""The trade-off that is named is the one that is chosen."""

from __future__ import annotations

import pytest

from router_memory.errors import InvalidRequest
from router_memory.tuning import Objective, Point, choose, parse_objective
from router_memory.tuning.objective import indifferent, unmet
from router_memory.types import CutoffRule

FIXED, RELATIVE = CutoffRule.FIXED, CutoffRule.RELATIVE


def point(
    threshold: float,
    *,
    precision: float | None = 0.5,
    recall: float | None = 0.5,
    f1: float | None = 0.5,
    balanced: float | None = 0.5,
    tokens: float = 100.0,
    rule: CutoffRule = FIXED,
) -> Point:
    return Point(
        rule=rule,
        threshold=threshold,
        precision=precision,
        recall=recall,
        f1=f1,
        hit_rate=None,
        silence=None,
        silence_unanswerable=None,
        silence_others=None,
        balanced=balanced,
        injected=0.5,
        memories=tokens / 50,
        tokens=tokens,
    )


WIDE = point(0.5, precision=0.2, recall=0.9, f1=0.33, balanced=0.5, tokens=400)
MIDDLE = point(0.6, precision=0.5, recall=0.6, f1=0.55, balanced=0.8, tokens=200)
NARROW = point(0.7, precision=0.9, recall=0.3, f1=0.45, balanced=0.6, tokens=60)
NOW = point(0.3, tokens=500)
NOTHING = point(0.9, precision=None, recall=0.0, f1=0.0, balanced=0.5, tokens=0)
POINTS = (WIDE, MIDDLE, NARROW, NOTHING)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("f1", MIDDLE),
        ("balanced", MIDDLE),
        ("precision=0.2", WIDE),
        ("precision=0.5", MIDDLE),
        ("precision=0.51", NARROW),
        ("precision=0.95", None),
        ("recall=0.3", NARROW),
        ("recall=0.61", WIDE),
        ("recall=0.91", None),
        ("tokens=1000", MIDDLE),
        ("tokens=199", NARROW),
        ("tokens=0", None),
    ],
)
def test_it_is_the_best_within_the_bound(text: str, chosen: Point | None) -> None:
    assert choose(POINTS, parse_objective(text), NOW) == chosen


def test_without_labels_a_budget_is_used_up() -> None:
    """As many memories as fit, for nobody knows which are right."""
    points = [point(0.4 + n / 10, f1=None, recall=None, precision=None, tokens=400 - 100 * n) for n in range(4)]
    assert choose(points, Objective("tokens", 250), NOW) == points[2]


def test_of_equals_one_with_the_current_rule_then_the_one_that_injects_less_then_the_lower() -> None:
    """The highest of them lies beside thresholds that find less."""
    less = point(0.5, tokens=90)
    assert choose([point(0.6), less], Objective("f1"), NOW) == less
    assert choose([point(0.5), point(0.6)], Objective("f1"), NOW) == point(0.5)
    for current in (FIXED, RELATIVE):
        same = [
            point(0.5, rule=FIXED),
            point(0.5, rule=RELATIVE),
            point(0.6, tokens=90, rule=next(iter({FIXED, RELATIVE} - {current}))),
        ]
        found = choose(same, Objective("f1"), point(0.3, rule=current))
        assert found is not None
        assert found.rule is current


def test_what_is_set_stays_where_nothing_is_better() -> None:
    """A change that gains nothing is none to recommend."""
    now = point(0.55, tokens=110)
    assert choose([point(0.5), now, point(0.6, tokens=90)], Objective("f1"), now) == now
    assert choose([now, point(0.6, f1=0.51)], Objective("f1"), now) == point(0.6, f1=0.51)


def test_a_threshold_that_injects_nothing_is_never_chosen() -> None:
    """It would turn memory off."""
    assert choose([NOTHING], Objective("balanced"), NOW) is None
    assert "the least is 60 at 0.70" in unmet(POINTS, Objective("tokens", 1))


def test_figures_that_are_not_there_choose_nothing() -> None:
    points = [point(0.5, f1=None, balanced=None)]
    assert choose(points, Objective("balanced"), NOW) is None
    assert unmet(points, Objective("balanced")) == "the data have no figures for balanced"


def test_what_cannot_be_reached_says_what_can() -> None:
    assert unmet(POINTS, Objective("precision", 0.95)) == (
        "no threshold reaches precision=0.95: the most is 0.900 at 0.70 with the rule fixed"
    )
    assert unmet(POINTS[:3], Objective("tokens", 50)) == (
        "no threshold reaches tokens=50: the least is 60 at 0.70 with the rule fixed"
    )


@pytest.mark.parametrize("goal", [None, "f1", "balanced", "precision=0.2", "recall=0.3", "tokens=100"])
def test_points_that_are_alike_give_no_reason_to_choose(goal: str | None) -> None:
    objective = None if goal is None else parse_objective(goal)
    assert indifferent(POINTS, objective) == ""
    nothing = [point(step / 10, precision=None, recall=0.0, tokens=0) for step in range(1, 5)]
    assert indifferent(nothing, objective) == "no threshold injects anything"
    same = [point(0.5, rule=FIXED), point(0.5, rule=RELATIVE), point(0.6)]
    assert indifferent(same, objective) == "every threshold injects the same"


def test_points_that_are_equally_good_give_no_reason_either() -> None:
    """Such as evidence that is never found: the threshold that injects nothing would be the best of them."""
    useless = [point(0.5, f1=0.0, tokens=200), point(0.6, f1=0.0, tokens=100)]
    assert indifferent(useless, Objective("f1")) == "every threshold has the same F1, 0.000"
    assert indifferent(useless, Objective("tokens", 150)).endswith(", 0.000")
    assert indifferent(useless, None) == ""
    level = [point(0.5, precision=0.4, tokens=200), point(0.6, precision=0.6, tokens=100)]
    assert indifferent(level, Objective("f1")) == "every threshold has the same F1, 0.500"
    assert indifferent(level, Objective("precision", 0.5)) == ""
    assert choose(level, Objective("precision", 0.5), NOW) == level[1]


@pytest.mark.parametrize("text", ["f1", "balanced", "precision=0.8", "recall=1", "tokens=300"])
def test_an_objective_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_objective(text)) == text
    assert parse_objective(text).meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        "best",
        "f1=0.5",
        "precision",
        "precision=",
        "precision=1.1",
        "recall=-1",
        "recall=nan",
        "tokens=many",
        "tokens=inf",
    ],
)
def test_an_objective_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--objective") as caught:
        parse_objective(text)
    assert caught.value.field == "objective"
