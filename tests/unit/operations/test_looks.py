"""What has happened in the last minute."""

from __future__ import annotations

from router_memory.interfaces.http.operations.figures import Figures
from router_memory.interfaces.http.operations.looks import WINDOW_SECONDS, Looks


def at(count: int) -> Figures:
    return Figures(f"done_total {count}".encode())


def added(looks: Looks, count: int, *, now: float, up: float | None = None) -> float:
    return looks.recent(at(count), now=now, up_seconds=up).total("done_total")


def test_it_is_what_was_added_since_the_look_of_a_minute_ago() -> None:
    looks = Looks()
    counts = {0.0: 100, 30.0: 110, 60.0: 115, 90.0: 120}
    assert [added(looks, count, now=now) for now, count in counts.items()] == [0, 10, 15, 10]


def test_an_idle_minute_is_empty() -> None:
    looks = Looks()
    assert [added(looks, 100, now=now) for now in (0.0, 30.0, 60.0, 90.0)] == [0, 0, 0, 0]


def test_a_look_of_hours_ago_does_not_count() -> None:
    looks = Looks()
    added(looks, 0, now=0.0)
    assert added(looks, 500, now=3600.0) == 0
    assert added(looks, 503, now=3602.0) == 3


def test_a_service_that_has_just_begun_is_known_from_its_start() -> None:
    assert added(Looks(), 7, now=1000.0, up=WINDOW_SECONDS / 2) == 7


def test_the_first_look_at_an_old_service_says_nothing_of_the_last_minute() -> None:
    assert added(Looks(), 7, now=10_000.0, up=5_000.0) == 0
