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


def test_after_one_that_took_long_none_is_waited_for_for_a_while() -> None:
    """Then the next one has another chance; one that was quick changes nothing."""
    odds = Odds()
    odds.waited(0.0001)
    seen = [odds.quick]
    odds.waited(0.001)
    for _ in range(33):
        odds.saw(0.0)
        seen.append(odds.quick)
    assert seen == [True, *[False] * 31, True, True]


def test_where_hits_are_rare_vectors_are_asked_for_now_and_then() -> None:
    """Else it would not be noticed that they are there; everywhere else they are asked for always."""
    odds, asked = told(*[0.0] * 32), []
    for _ in range(32):
        asked.append(odds.vector)
        odds.saw(0.0)
    assert [place for place, vector in enumerate(asked) if vector] == [0, 16]
    assert told(*[0.0] * 33, 0.5).vector
    assert told(*[0.0] * 10).vector
    assert told(*[1.0] * 10).vector
