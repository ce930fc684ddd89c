"""Where the list is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.ranking import cut
from router_memory.types import CutoffRule, RankingMode

SCORES = st.lists(st.floats(0, 1), max_size=20)
FLOOR = st.floats(0, 1)


@given(SCORES, FLOOR, st.sampled_from(CutoffRule), st.sampled_from(RankingMode))
def test_no_rule_lowers_the_threshold(scores: list[float], floor: float, rule: CutoffRule, mode: RankingMode) -> None:
    """The adaptive rules may only raise the cut."""
    assert cut(scores, floor, rule, mode).threshold >= floor


@pytest.mark.parametrize(
    ("scores", "floor", "threshold"),
    [([0.85, 0.80, 0.75, 0.40, 0.35], 0.3, 0.575), ([0.9, 0.5, 0.48, 0.46], 0.3, 0.70)],
)
def test_the_elbow_lies_in_the_middle_of_the_largest_gap(scores: list[float], floor: float, threshold: float) -> None:
    """The reference's own examples."""
    assert cut(scores, floor, CutoffRule.ELBOW, RankingMode.RERANK).threshold == pytest.approx(threshold)


def test_a_small_gap_is_no_elbow() -> None:
    """Below 0.05 the configured threshold stays."""
    assert cut([0.80, 0.78, 0.75], 0.3, CutoffRule.ELBOW, RankingMode.RERANK).threshold == 0.3


def test_one_candidate_has_no_elbow() -> None:
    """There is no gap to look at."""
    assert cut([0.9], 0.5, CutoffRule.ELBOW, RankingMode.RERANK).threshold == 0.5


def test_the_adaptive_threshold_follows_the_best_candidate() -> None:
    """Others need half of its distance above the floor."""
    assert cut([0.90, 0.75], 0.70, CutoffRule.RELATIVE, RankingMode.RERANK).threshold == pytest.approx(0.80)


def test_the_adaptive_threshold_injects_nothing_when_nothing_stands_out() -> None:
    """The best candidate must lie a gate's width above the floor."""
    assert cut([0.75, 0.74], 0.70, CutoffRule.RELATIVE, RankingMode.RERANK).threshold > 0.75


def test_a_threshold_of_zero_keeps_everything() -> None:
    """Ranking without a cut-off stays possible with the adaptive threshold on."""
    assert cut([0.05, 0.01], 0.0, CutoffRule.RELATIVE, RankingMode.RERANK).threshold == 0.0


def test_no_candidates_is_said() -> None:
    """An empty list is cut at the floor, with a reason a person can read."""
    where = cut([], 0.7, CutoffRule.RELATIVE, RankingMode.RERANK)
    assert (where.threshold, where.why) == (0.7, "there were no candidates")
