"""Intervals come from the seed, and compare question by question."""

from __future__ import annotations

import numpy as np
import pytest

from bench.quality.bootstrap import Bootstrap

VALUES = [float(number % 3 == 0) for number in range(90)]


def test_the_seed_decides_everything() -> None:
    """Another seed draws otherwise."""
    assert Bootstrap(7).mean(VALUES) == Bootstrap(7).mean(VALUES)
    assert Bootstrap(7).mean(VALUES) != Bootstrap(8).mean(VALUES)


def test_what_was_drawn_before_changes_nothing() -> None:
    """A table more or less leaves the other intervals as they are."""
    used = Bootstrap(7)
    used.mean([0.0, 1.0, 1.0])
    assert used.mean(VALUES) == Bootstrap(7).mean(VALUES)


def test_the_interval_is_about_two_standard_errors_wide() -> None:
    """Of a mean of independent values."""
    ends = Bootstrap(7).mean(VALUES)
    assert ends is not None
    error = float(np.std(VALUES)) / np.sqrt(len(VALUES))
    assert ends[0] == pytest.approx(1 / 3 - 1.96 * error, abs=0.02)
    assert ends[1] == pytest.approx(1 / 3 + 1.96 * error, abs=0.02)


def test_a_difference_is_paired() -> None:
    """The same gain for each question leaves no doubt, however much questions differ."""
    better = [value + 0.1 for value in VALUES]
    assert Bootstrap(7).difference(better, VALUES) == pytest.approx((0.1, 0.1))


def test_figures_of_sums_are_drawn_by_question() -> None:
    """A ratio of two sums, the same for each question, has no spread; summands are drawn together."""
    rows = [(value, 2 * value) for value in VALUES]
    ends = Bootstrap(7).of_sums(rows, lambda sums: sums[:, 0] / sums[:, 1])
    assert ends == pytest.approx((0.5, 0.5))


def test_nothing_has_no_interval() -> None:
    """As for negatives that were never asked."""
    assert Bootstrap(7).mean([]) is None
