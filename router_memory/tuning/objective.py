"""Which trade-off is wanted, and the setting that is best by it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from router_memory.errors import InvalidRequest
from router_memory.tuning.sweep import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OBJECTIVES", "Objective", "choose", "indifferent", "parse_objective", "unmet"]

_Figure = Callable[[Point], float | None]

_GOALS: Mapping[str, _Figure] = {
    "f1": lambda point: point.f1,
    "balanced": lambda point: point.balanced,
    "precision": lambda point: point.recall,
    "recall": lambda point: point.precision,
    "tokens": lambda point: point.memories if point.f1 is None else point.f1,
}
"""What is made as large as possible."""

_GOAL_NAMES = {
    "f1": "F1",
    "balanced": "mean of served and left alone",
    "precision": "recall",
    "recall": "precision",
    "tokens": "F1 or, without labels, number of memories",
}
"""What `_GOALS` are."""

_BOUNDS: Mapping[str, _Figure] = {
    "precision": lambda point: point.precision,
    "recall": lambda point: point.recall,
    "tokens": lambda point: -point.tokens,
}
"""What has to reach the bound, which for tokens is negative."""

OBJECTIVES = "f1, balanced, precision=SHARE, recall=SHARE or tokens=N"
"""What can be written."""

_MEANINGS = {
    "f1": "the best F1, injections where nothing should be injected counted as wrong",
    "balanced": "the best mean of being served when memory helps and left alone when it does not",
    "precision": "the most recall at a precision of at least {:g} of what questions with an answer get",
    "recall": "the most precision of what questions with an answer get, at a recall of at least {:g}",
    "tokens": "the best within {:g} tokens a request on average",
}


@dataclass(frozen=True, slots=True)
class Objective:
    """How a setting is chosen.

    Attributes:
        name: ``f1``, ``balanced``, ``precision``, ``recall`` or ``tokens``.
        bound: Least precision or recall in [0, 1], or most tokens of a request on average, ≥ 0; ``None`` without one.
    """

    name: str
    bound: float | None = None

    def __str__(self) -> str:
        return self.name if self.bound is None else f"{self.name}={self.bound:g}"

    @property
    def meaning(self) -> str:
        """It in words."""
        return _MEANINGS[self.name].format(self.bound)


def parse_objective(text: str) -> Objective:
    """The objective a text such as ``precision=0.8`` names.

    Raises:
        InvalidRequest: It names none.
    """
    name, equals, value = text.strip().partition("=")
    if name not in _GOALS or bool(equals) is not (name in _BOUNDS):
        raise InvalidRequest(f"--objective must be {OBJECTIVES}, not {text!r}", field="objective")
    if not equals:
        return Objective(name)
    try:
        bound = float(value)
    except ValueError:
        bound = -1.0
    if not 0 <= bound <= (float("inf") if name == "tokens" else 1) or bound == float("inf"):
        wanted = "a number of tokens" if name == "tokens" else "a number in [0, 1]"
        raise InvalidRequest(f"--objective {name} needs {wanted}, not {value!r}", field="objective")
    return Objective(name, bound)


def choose(points: Sequence[Point], objective: Objective, current: Point) -> Point | None:
    """The best point that keeps to the bound and injects anything; ``None`` where none does, or none has the figures.

    Of equally good ones the current setting, then one with its rule, then the one that injects less, then the lower
    threshold: above the higher one less is found.
    """
    goal = _GOALS[objective.name]
    fit = [point for point in points if point.memories > 0 and goal(point) is not None and _reaches(point, objective)]

    def worth(point: Point) -> tuple[float, bool, bool, float, float]:
        same = (point.rule, point.threshold) == (current.rule, current.threshold)
        return goal(point) or 0.0, same, point.rule is current.rule, -point.tokens, -point.threshold

    return max(fit, key=worth, default=None)


def indifferent(points: Sequence[Point], objective: Objective | None) -> str:
    """Why the points give no reason to prefer any of them; empty where they do.

    Args:
        points: All that were tried.
        objective: What they are compared by, besides what they inject; ``None`` for nothing else.
    """
    if not any(point.memories for point in points) and all(point.silence in (None, 1.0) for point in points):
        return "no threshold injects anything"
    first = points[0]
    if all(replace(point, rule=first.rule, threshold=first.threshold) == first for point in points):
        return "every threshold injects the same"
    if objective is None:
        return ""
    same = _GOALS[objective.name](first)
    if same is None or any(_GOALS[objective.name](point) != same for point in points):
        return ""
    if objective.bound is not None and same > 0:
        return ""  # the bound tells them apart
    return f"every threshold has the same {_GOAL_NAMES[objective.name]}, {same:.3f}"


def unmet(points: Sequence[Point], objective: Objective) -> str:
    """Why nothing could be chosen, with the best that can be reached."""
    if objective.name not in _BOUNDS:
        return f"the data have no figures for {objective.name}"
    figure = _BOUNDS[objective.name]
    known = [(value, point) for point in points if point.memories > 0 and (value := figure(point)) is not None]
    if not known:
        return f"the data have no figures for {objective.name}"
    value, point = max(known, key=lambda one: one[0])
    best = f"the least is {point.tokens:.4g}" if objective.name == "tokens" else f"the most is {value:.3f}"
    return f"no threshold reaches {objective}: {best} at {point.threshold:.2f} with the rule {point.rule}"


def _reaches(point: Point, objective: Objective) -> bool:
    figure = _BOUNDS.get(objective.name)
    if figure is None or objective.bound is None:
        return True
    value = figure(point)
    return value is not None and value >= (-objective.bound if objective.name == "tokens" else objective.bound)
