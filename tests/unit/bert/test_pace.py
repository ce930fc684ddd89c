"""The estimate of what a forward pass takes."""

from __future__ import annotations

import pytest

from router_memory.backends.bert.pace import Pace


def test_nothing_is_known_at_first() -> None:
    """Without a measurement no time is promised."""
    assert Pace().seconds(1000) == 0.0


def test_a_measurement_is_reproduced() -> None:
    """The same pass is estimated at what it took."""
    pace = Pace()
    pace.observe(256, 0.06)
    assert pace.seconds(256) == pytest.approx(0.06)
    assert 0 < pace.seconds(16) < 0.06


def test_one_outlier_moves_it_by_a_fifth() -> None:
    """A moving average follows a machine that got slower, without jumping at every pause."""
    pace = Pace()
    pace.observe(100, 1.0)
    pace.observe(100, 2.0)
    assert pace.seconds(100) == pytest.approx(1.2)
