"""Which session a pass takes: the one that has lately been faster for passes of its size."""

from __future__ import annotations

import pytest

from router_memory.backends.bert.onnx.widths import Widths

CALM = (3.7, 2.2)
"""Milliseconds that a pass takes on the narrow and the wide session of a machine that does nothing else."""
FULL = (4.6, 11.2)
"""The same on one with more to do than it has CPUs for."""
SIZE = 12


class Machine:
    """Makes passes one after another; its clock goes on by what they take."""

    def __init__(self) -> None:
        self.now = 0.0
        self.widths = Widths(lambda: self.now)

    def passes(self, number: int, takes: tuple[float, float], *, size: int = SIZE) -> str:
        """Which sessions so many passes took: ``n`` or ``w`` for each."""
        taken = ""
        for _ in range(number):
            each = self.widths.begin(size, choose=True)
            self.now += takes[each.wide]
            self.widths.end(each, observe=True)
            taken += "nw"[each.wide]
        return taken


@pytest.fixture
def machine() -> Machine:
    """One of which nothing is known yet."""
    return Machine()


def test_without_a_wide_session_every_pass_is_narrow(machine: Machine) -> None:
    """Before it is open, and where there is none."""
    for _ in range(20):
        each = machine.widths.begin(SIZE, choose=False)
        assert not each.wide
        machine.widths.end(each, observe=False)


def test_where_there_is_room_passes_are_wide_once_both_were_tried(machine: Machine) -> None:
    """One pass of each is enough."""
    assert machine.passes(2, CALM) == "wn"
    assert machine.passes(4, CALM) == "wwww"


def test_where_there_is_none_passes_are_narrow(machine: Machine) -> None:
    """From the second on."""
    assert machine.passes(5, FULL) == "wnnnn"


def test_a_little_faster_is_not_enough(machine: Machine) -> None:
    """The wide session takes more of the CPUs for the same work."""
    assert machine.passes(5, (1.0, 0.95)) == "wnnnn"


@pytest.mark.parametrize("calm_for", [3, 50, 1_000])
def test_after_two_slow_wide_passes_there_is_none_for_a_while(machine: Machine, calm_for: int) -> None:
    """However long it was the faster one; but for a narrow pass that was due just then."""
    machine.passes(calm_for, CALM)
    assert machine.passes(7, FULL).lstrip("n").replace("wnw", "ww").startswith("wwnnn")


def test_a_session_that_became_a_little_slower_than_the_other_is_left_soon(machine: Machine) -> None:
    """It need not be slow beyond doubt."""
    machine.passes(50, CALM)
    assert machine.passes(6, (3.7, 4.5)) == "wwnnnn"


@pytest.mark.parametrize("wide_takes", [5.0, 11.2, 30.0])
def test_trying_costs_a_fiftieth_of_the_time_at_most(machine: Machine, wide_takes: float) -> None:
    """The slower the wide session was, the longer it is left alone; but never for good."""
    machine.passes(1_000, (4.6, wide_takes))
    began = machine.now
    assert "w" in machine.passes(3_000, (4.6, wide_takes))
    assert 1.0 < (machine.now - began) / (3_000 * 4.6) < 1.021


def test_on_a_calm_machine_ever_fewer_passes_are_narrow(machine: Machine) -> None:
    """The same the other way round."""
    machine.passes(1_000, CALM)
    assert machine.passes(1_290, CALM).count("n") == 10


def test_the_end_of_a_load_is_noticed(machine: Machine) -> None:
    """By the first wide pass after it, although many before were slow: an old figure says nothing of now."""
    machine.passes(5_000, FULL)
    taken = machine.passes(200, CALM)
    assert "w" in taken[:80]
    assert "n" not in taken[taken.index("w") :][:5]


def test_the_end_of_a_load_is_noticed_however_slow_wide_passes_were(machine: Machine) -> None:
    """What is remembered of them has a bound."""
    machine.passes(500, (4.6, 4_000.0))
    assert machine.passes(520, CALM).endswith("www")


def test_what_made_the_narrow_session_faster_is_noticed_too(machine: Machine) -> None:
    """Where the wide one did not change at all."""
    machine.passes(2_000, CALM)
    assert machine.passes(200, (1.8, 2.2)).endswith("nnnnnnnn")


def test_one_pass_that_was_interrupted_changes_nothing(machine: Machine) -> None:
    """On the narrow session of a full machine neither."""
    machine.passes(500, CALM)
    machine.passes(1, (30.0, 30.0))
    assert machine.passes(6, CALM) == "wwwwww"
    machine.passes(1_000, FULL)
    machine.passes(1, (90.0, 90.0))
    assert machine.passes(6, FULL) == "nnnnnn"


@pytest.mark.parametrize("pause", [16.0, 50.0, 4_000.0])
def test_one_long_pause_changes_nothing_where_the_wide_one_was_not_in_use_for_long(
    machine: Machine, pause: float
) -> None:
    """As the collection of garbage, or a whole machine that stood still: what it had gained need not cover that."""
    machine.passes(50, (1.44, 0.98))
    machine.passes(1, (pause, pause))
    assert machine.passes(100, (1.44, 0.98)).count("n") <= 2


def test_two_such_passes_cost_a_few_narrow_ones(machine: Machine) -> None:
    """A session that did well for long is tried again soon."""
    machine.passes(500, CALM)
    assert machine.passes(3, (3.7, 30.0)) == "wwn"
    assert machine.passes(6, CALM).endswith("www")


def test_a_wide_session_that_loses_in_few_passes_what_it_gains_in_many_is_left(machine: Machine) -> None:
    """Most of its passes are the faster ones."""
    wide, began = 0, machine.now
    for _ in range(4_000):
        wide += machine.passes(1, (3.7, 40.0 if wide % 5 == 4 else 2.2)) == "w"
    assert (machine.now - began) / (4_000 * 3.7) < 1.05


def test_a_machine_that_changes_all_the_time_is_not_followed_for_ever(machine: Machine) -> None:
    """A wide session that is fast when tried and slow ever after is tried ever less often."""
    machine.passes(2, FULL)
    slow = 0
    for _ in range(2_000):
        tried = machine.passes(1, CALM) == "w"
        slow += tried and machine.passes(1, FULL) == "w"
    assert 0 < slow < 60


def test_sizes_are_told_apart_by_powers_of_two(machine: Machine) -> None:
    """A short text may gain by threads that a large batch loses by."""
    for _ in range(100):
        machine.passes(1, CALM, size=12)
        machine.passes(1, (67.0, 112.0), size=256)
    assert machine.passes(3, CALM, size=12) == "www"
    assert machine.passes(1, CALM, size=8) == "w"
    assert machine.passes(3, (67.0, 112.0), size=256) == "nnn"
    assert machine.passes(1, (67.0, 112.0), size=500) == "n"


def test_a_new_size_begins_as_the_nearest_one_known_when_that_is_narrow(machine: Machine) -> None:
    """So that a full machine does not pay for each size."""
    machine.passes(300, FULL, size=12)
    assert machine.passes(20, FULL, size=30) == "n" * 20


def test_a_new_size_begins_as_the_nearest_one_known_when_that_is_wide(machine: Machine) -> None:
    """But the narrow session is measured first, to know when to change."""
    machine.passes(300, CALM, size=12)
    assert machine.passes(4, CALM, size=30) == "nwww"


def test_beside_another_pass_none_is_wide(machine: Machine) -> None:
    """Whoever comes second takes what is left of the CPUs."""
    machine.passes(50, CALM)
    first = machine.widths.begin(SIZE, choose=True)
    second = machine.widths.begin(SIZE, choose=True)
    assert (first.wide, second.wide) == (True, False)
    machine.widths.end(first, observe=True)
    third = machine.widths.begin(SIZE, choose=True)
    assert not third.wide
    machine.widths.end(second, observe=True)
    machine.widths.end(third, observe=True)
    assert machine.passes(1, CALM) == "w"


def test_passes_beside_each_other_say_nothing(machine: Machine) -> None:
    """They were slow because of each other."""
    machine.passes(50, CALM)
    both = [machine.widths.begin(SIZE, choose=True) for _ in range(2)]
    machine.now += 100.0
    for each in both:
        machine.widths.end(each, observe=True)
    assert machine.passes(3, CALM) == "www"


def test_a_pass_that_failed_says_nothing(machine: Machine) -> None:
    """It ended sooner than any."""
    machine.passes(50, FULL)
    for _ in range(10):
        machine.widths.end(machine.widths.begin(SIZE, choose=True), observe=False)
    assert machine.passes(1, FULL) == "n"
