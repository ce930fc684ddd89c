"""The fit of the similarity scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.quality.calibrate import HIGHEST, KNOTS, LOWEST, Shares, fit
from router_memory.errors import InvalidRequest


def shares(numbers: np.ndarray, right: np.ndarray) -> Shares:
    return Shares(numbers.tolist(), right.tolist())


def test_the_share_is_of_what_reaches_the_threshold() -> None:
    """And is no number where too few do."""
    made = Shares([0.2, 0.4, 0.6, 0.8] * 20, [False, False, True, True] * 20)
    assert [made.from_on(0.0), made.from_on(0.4), made.from_on(0.6)] == [0.5, pytest.approx(2 / 3), 1.0]
    assert math.isnan(made.from_on(0.9))


def test_a_known_map_is_found_again() -> None:
    """Where the support is a function of the similarity, each knot is that function of the scale."""
    random = np.random.default_rng(1)
    similarity = random.uniform(0.5, 1.0, 200_000)
    right = random.uniform(size=similarity.size) < (similarity - 0.5) * 2
    support = (similarity - 0.7) * 2
    support_knots, scale = fit([(shares(similarity, right), shares(support, right))])
    assert scale == (0.0, *KNOTS, 1.0)
    assert support_knots[0] == LOWEST
    assert support_knots[-1] == HIGHEST
    assert support_knots[1:-1] == pytest.approx([(knot - 0.7) * 2 for knot in KNOTS], abs=0.03)


def test_the_map_is_strictly_monotone_whatever_the_data_say() -> None:
    """Also where nothing depends on anything."""
    random = np.random.default_rng(2)
    similarity, support = random.uniform(0.5, 1.0, 500), random.uniform(-0.5, 1.5, 500)
    right = random.uniform(size=500) < 0.3
    support_knots, scale = fit([(shares(similarity, right), shares(support, right))])
    assert len(support_knots) == len(scale)
    assert (np.diff(support_knots) > 0).all()
    assert (np.diff(scale) > 0).all()


def test_knots_that_a_set_does_not_reach_are_left_out() -> None:
    """Else one set without anything above a similarity would decide over all."""
    random = np.random.default_rng(3)
    similarity = random.uniform(0.5, 1.0, 20_000)
    right = random.uniform(size=similarity.size) < (similarity - 0.5) * 2
    low = similarity < 0.82
    sets = [(shares(similarity, right), shares(similarity, right)), (shares(similarity[low], right[low]),) * 2]
    support_knots, scale = fit(sets)
    assert scale == (0.0, 0.60, 0.65, 0.70, 0.75, 0.80, 1.0)
    assert support_knots[1:-1] == pytest.approx(scale[1:-1], abs=0.05)


def test_too_little_to_fit_is_an_error() -> None:
    """Not a map of nothing."""
    few = Shares([0.7] * 5, [True] * 5)
    with pytest.raises(InvalidRequest, match="fit on more questions"):
        fit([(few, few)])
