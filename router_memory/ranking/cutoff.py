"""Where the list is cut: the configured threshold, raised by a rule. No rule ever lowers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from router_memory.types import Cut, CutoffRule, RankingMode

__all__ = ["cut"]

ELBOW_GAP = 0.05
"""Smallest gap between neighbouring scores that counts as an elbow (the reference's value)."""

GATE = {RankingMode.DENSE: 0.04}
GATE_HYBRID = 0.08
"""How far above the threshold the best memory must lie for anything to be injected."""

SHARE = {RankingMode.DENSE: 0.0}
SHARE_HYBRID = 0.5
"""Share of the best memory's distance to the threshold that the others must reach."""


def cut(similarities: Sequence[float], floor: float, rule: CutoffRule, mode: RankingMode) -> Cut:
    """The threshold for one list of candidates.

    Args:
        similarities: Of the candidates that would be returned, each in [0, 1], in any order.
        floor: The configured threshold.

    Returns:
        A cut whose threshold is ≥ `floor`.
    """
    if not similarities:
        return Cut(floor, floor, rule.value, "there were no candidates")
    return _RULES[rule](sorted(similarities, reverse=True), floor, mode)


def _fixed(similarities: Sequence[float], floor: float, mode: RankingMode) -> Cut:
    del similarities, mode
    return Cut(floor, floor, CutoffRule.FIXED.value, f"the configured threshold {floor:.3f}")


def _relative(similarities: Sequence[float], floor: float, mode: RankingMode) -> Cut:
    best = similarities[0]
    gate = min(1.0, floor + GATE.get(mode, GATE_HYBRID))
    if floor <= 0.0:
        return Cut(floor, floor, CutoffRule.RELATIVE.value, "the threshold is 0: everything is kept")
    if best < gate:
        why = f"the best candidate has {best:.4f}; below {gate:.4f} nothing is sure enough to be injected"
        return Cut(floor, gate, CutoffRule.RELATIVE.value, why)
    share = SHARE.get(mode, SHARE_HYBRID)
    threshold = floor + share * (best - floor)
    why = f"the best candidate has {best:.3f}; the others must come {share:.0%} of the way from {floor:.2f} up to it"
    return Cut(floor, threshold, CutoffRule.RELATIVE.value, why)


def _elbow(similarities: Sequence[float], floor: float, mode: RankingMode) -> Cut:
    del mode
    gaps = [(above - below, above) for above, below in pairwise(similarities)]
    gap, above = max(gaps, default=(0.0, 0.0), key=lambda pair: pair[0])
    if gap < ELBOW_GAP:
        why = f"no gap of {ELBOW_GAP} between neighbours; the configured threshold {floor:.3f}"
        return Cut(floor, floor, CutoffRule.ELBOW.value, why)
    threshold = max(floor, above - gap / 2)
    return Cut(floor, threshold, CutoffRule.ELBOW.value, f"the largest gap, {gap:.3f}, lies below {above:.3f}")


_RULES: Mapping[CutoffRule, Callable[[Sequence[float], float, RankingMode], Cut]] = {
    CutoffRule.FIXED: _fixed,
    CutoffRule.RELATIVE: _relative,
    CutoffRule.ELBOW: _elbow,
}
