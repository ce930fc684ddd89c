"""How soon a worker is started anew."""

from __future__ import annotations

from router_memory.serving.backoff import FIRST_SECONDS, LONGEST_SECONDS, SOUND_SECONDS, Backoff


def test_pauses_double_up_to_a_longest_one() -> None:
    backoff = Backoff()
    pauses = [backoff.pause(None) for _ in range(12)]
    assert pauses[:3] == [FIRST_SECONDS, FIRST_SECONDS * 2, FIRST_SECONDS * 4]
    assert pauses[-1] == LONGEST_SECONDS


def test_a_worker_that_served_for_long_is_replaced_at_once() -> None:
    backoff = Backoff()
    backoff.pause(None)
    assert backoff.pause(SOUND_SECONDS) == 0.0
    assert backoff.pause(1.0) == FIRST_SECONDS


def test_only_starts_that_came_to_nothing_count_as_failures() -> None:
    backoff = Backoff()
    for served, failures in ((None, 1), (None, 2), (0.5, 0), (None, 1)):
        backoff.pause(served)
        assert backoff.failures == failures
