"""Token buckets and seats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.interfaces.http.limits.buckets import Buckets, Seats, key_of


def test_a_burst_then_the_rate() -> None:
    buckets = Buckets()
    taken = [buckets.take(b"u", 0.0, rate=2, burst=3) for _ in range(4)]
    assert taken == [0, 0, 0, 0.5]
    assert buckets.take(b"u", 0.5, rate=2, burst=3) == 0
    assert buckets.take(b"u", 0.5, rate=2, burst=3) == 0.5


def test_without_a_burst_a_second_of_the_rate_gathers() -> None:
    buckets = Buckets()
    assert [buckets.take(b"u", 0.0, rate=2.5, burst=0) for _ in range(4)][:3] == [0, 0, 0]
    assert Buckets().take(b"u", 0.0, rate=0.1, burst=0) == 0


def test_a_refused_request_costs_nothing() -> None:
    buckets = Buckets()
    buckets.take(b"u", 0.0, rate=1, burst=1)
    assert [buckets.take(b"u", 0.0, rate=1, burst=1) for _ in range(3)] == [1, 1, 1]


def test_users_do_not_share() -> None:
    buckets = Buckets()
    assert [buckets.take(user, 0.0, rate=1, burst=1) for user in (b"a", b"b", b"a")] == [0, 0, 1]


def test_the_table_is_bounded() -> None:
    buckets = Buckets(most=2)
    for user in (b"a", b"b", b"a", b"c", b"d"):
        buckets.take(user, 0.0, rate=1, burst=5)
    assert len(buckets) == 2


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.5, 20), st.integers(1, 10))
def test_no_more_than_burst_and_rate_get_through(steps: list[float], rate: float, burst: int) -> None:
    buckets, now, let_in = Buckets(), 0.0, 0
    for step in steps:
        now += step
        let_in += buckets.take(b"u", now, rate=rate, burst=burst) == 0
    assert let_in <= burst + rate * now + 1e-6


def test_seats_are_given_back() -> None:
    seats = Seats()
    assert [seats.take(b"u", 2) for _ in range(3)] == [True, True, False]
    seats.leave(b"u")
    assert seats.take(b"u", 2)
    seats.leave(b"u")
    seats.leave(b"u")
    assert len(seats) == 0


def test_a_seat_nobody_took_cannot_be_left() -> None:
    with pytest.raises(KeyError):
        Seats().leave(b"u")


def test_long_ids_take_no_more_room_than_short_ones_and_stay_apart() -> None:
    users = ["u", "u" * 60_000, "u" * 59_999 + "v", "\ud800"]
    keys = {key_of(user) for user in users}
    assert len(keys) == len(users)
    assert {len(key) for key in keys} == {16}
