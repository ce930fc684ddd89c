"""The circuit breaker over time."""

from __future__ import annotations

import pytest

from router_memory.cache import Breaker
from router_memory.cache import breaker as module
from tests.unit.cache.parts import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


def test_three_failures_in_a_row_open_it(clock: Clock) -> None:
    """The third one says so; an answer between them starts anew."""
    breaker = Breaker()
    assert [breaker.failed(), breaker.failed(), breaker.succeeded()] == [False, False, False]
    assert [breaker.failed(), breaker.failed(), breaker.closed] == [False, False, True]
    assert [breaker.failed(), breaker.closed, breaker.failed()] == [True, False, False]
    assert clock.now == 1_000


def test_a_try_is_due_once_a_pause(clock: Clock) -> None:
    """Never while it is closed."""
    breaker = Breaker(failures=1)
    clock.now += 10
    assert not breaker.is_due()
    breaker.failed()
    assert not breaker.is_due()
    clock.now += 0.26
    assert [breaker.is_due(), breaker.is_due()] == [True, False]


def test_a_try_that_never_ends_is_not_the_last(clock: Clock) -> None:
    """The next one comes after another pause."""
    breaker = Breaker(failures=1)
    breaker.failed()
    clock.now += 0.3
    assert breaker.is_due()
    clock.now += 0.6
    assert breaker.is_due()


def test_the_pause_doubles_up_to_its_bound(clock: Clock) -> None:
    """Each try that fails doubles it; an answer takes it back."""
    breaker = Breaker(failures=1)
    pauses = []
    for _ in range(6):
        breaker.failed()
        began = clock.now
        while not breaker.is_due():
            clock.now += 1 / 64
        pauses.append(clock.now - began)
    assert pauses == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    for pause in (1.0, 0.5, 0.25, 0.25):  # an answer halves it: what opens again soon stays open longer
        assert breaker.succeeded()
        breaker.failed()
        clock.now += pause - 1 / 64
        assert not breaker.is_due()
        clock.now += 1 / 64
        assert breaker.is_due()
        breaker._pause = pause


def test_an_answer_closes_it(clock: Clock) -> None:
    """Once."""
    breaker = Breaker()
    for _ in range(5):
        breaker.failed()
    assert [breaker.succeeded(), breaker.closed, breaker.succeeded()] == [True, True, False]
    assert clock.now == 1_000


def test_a_burst_is_one_failure(clock: Clock) -> None:
    """Calls that were under way together when the server stopped do not lengthen the first pause."""
    breaker = Breaker()
    for _ in range(50):
        breaker.failed()
    clock.now += 0.3
    assert breaker.is_due()
