"""What the latest looks say about the next one."""

from __future__ import annotations

from router_memory.cache import Odds


def told(*worths: float) -> Odds:
    odds = Odds()
    for worth in worths:
        odds.saw(worth)
    return odds


def test_at_first_nothing_is_known() -> None:
    """Hits are neither rare nor usual."""
    assert [Odds().rare, Odds().usual] == [False, False]


def test_many_misses_make_hits_rare() -> None:
    """One hit, and even one vector, is enough to think otherwise for a while."""
    assert told(*[0.0] * 30).rare
    assert not told(*[0.0] * 10).rare
    assert not told(*[0.0] * 30, 1.0).rare
    assert not told(*[0.0] * 30, 0.5).rare
    assert told(*[0.0] * 30, 1.0, *[0.0] * 10).rare


def test_many_hits_make_them_usual() -> None:
    """One miss among them does not change that, some do; vectors alone never make it so."""
    assert told(*[1.0] * 30).usual
    assert told(*[1.0] * 30, 0.0).usual
    assert not told(*[1.0] * 30, 0.0, 0.0).usual
    assert not told(*[0.5] * 100).usual


def test_they_stay_between_0_and_1() -> None:
    """However many looks there are."""
    assert 0.0 <= told(*[0.0] * 1000).share <= told(*[1.0] * 1000).share <= 1.0
