"""Which epoch counts as the current one, and for how long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from router_memory.cache import Epochs
from router_memory.cache import epochs as module
from router_memory.types import Scope
from tests.unit.cache.parts import ALICE, BOB, Clock

if TYPE_CHECKING:
    from router_memory.protocols import MemoryStore


class Source:
    """A store's epochs, and a gate in the middle of a read."""

    epoch_is_inline = False

    def __init__(self) -> None:
        self.epochs = {ALICE.user_id: "a1", BOB.user_id: "b1"}
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def epoch(self, scope: Scope) -> str:
        self.reads += 1
        epoch = self.epochs.get(scope.user_id, "")
        await self.gate.wait()
        return epoch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


@pytest.fixture
def source() -> Source:
    return Source()


def epochs_of(source: Source, max_age: float = 0.0) -> Epochs:
    return Epochs(cast("MemoryStore", source), max_age=max_age)


async def test_strict_reads_each_time(source: Source) -> None:
    """So another process's write is seen at once."""
    epochs = epochs_of(source)
    assert [await epochs.current(ALICE) for _ in range(3)] == ["a1"] * 3
    source.epochs["alice"] = "a2"
    assert await epochs.current(ALICE) == "a2"
    assert source.reads == 4
    epochs.note(ALICE, "a2", epochs.mark(ALICE))
    assert epochs.remembered(ALICE) is None


async def test_bounded_remembers_for_its_time(source: Source, clock: Clock) -> None:
    """Per user, whatever the project."""
    epochs = epochs_of(source, 0.1)
    assert await epochs.current(ALICE) == "a1"
    source.epochs["alice"] = "a2"
    clock.now += 0.09
    assert [await epochs.current(ALICE), await epochs.current(Scope("alice", "garden"))] == ["a1", "a1"]
    assert [await epochs.current(BOB), source.reads] == ["b1", 2]
    clock.now += 0.02
    assert [await epochs.current(ALICE), source.reads] == ["a2", 3]


async def test_its_time_begins_with_the_read(source: Source, clock: Clock) -> None:
    """An epoch that was long on its way is old when it arrives."""
    epochs = epochs_of(source, 0.1)
    source.gate.clear()
    reading = asyncio.create_task(epochs.current(ALICE))
    await asyncio.sleep(0)
    clock.now += 0.06
    source.gate.set()
    assert await reading == "a1"
    assert epochs.remembered(ALICE) == "a1"
    clock.now += 0.05
    assert epochs.remembered(ALICE) is None


async def test_an_own_write_is_seen_at_once(source: Source, clock: Clock) -> None:
    """And nobody else's epoch is forgotten for it."""
    epochs = epochs_of(source, 60.0)
    await epochs.current(ALICE)
    await epochs.current(BOB)
    source.epochs["alice"] = "a2"
    epochs.wrote(ALICE)
    assert [await epochs.current(ALICE), await epochs.current(BOB), source.reads] == ["a2", "b1", 3]
    assert clock.now == 1_000


async def test_a_read_that_a_write_overtook_is_not_remembered(source: Source, clock: Clock) -> None:
    """It may have read the state before."""
    epochs = epochs_of(source, 60.0)
    source.gate.clear()
    reading = asyncio.create_task(epochs.current(ALICE))
    await asyncio.sleep(0)
    source.epochs["alice"] = "a2"
    epochs.wrote(ALICE)
    source.gate.set()
    assert [await reading, epochs.remembered(ALICE), await epochs.current(ALICE)] == ["a1", None, "a2"]
    assert clock.now == 1_000


async def test_what_costs_no_round_trip_is_at_hand(source: Source, clock: Clock) -> None:
    """What is remembered, and what an inline store says."""
    epochs = epochs_of(source, 0.1)
    assert [await epochs.at_hand(ALICE), source.reads] == [None, 0]
    await epochs.current(ALICE)
    assert [await epochs.at_hand(ALICE), source.reads] == ["a1", 1]
    clock.now += 1
    assert [await epochs.at_hand(ALICE), source.reads] == [None, 1]


@pytest.mark.parametrize("max_age", [0.0, 0.1])
async def test_an_inline_stores_epoch_is_always_at_hand(source: Source, clock: Clock, max_age: float) -> None:
    """It is read where it is not remembered, and remembered where it may be."""
    source.epoch_is_inline = True
    epochs = epochs_of(source, max_age)
    assert [await epochs.at_hand(ALICE), source.reads, epochs.remembered(ALICE)] == ["a1", 1, "a1" if max_age else None]
    source.epochs["alice"] = "a2"
    assert [await epochs.at_hand(ALICE), source.reads] == (["a1", 1] if max_age else ["a2", 2])
    clock.now += 1
    assert await epochs.at_hand(ALICE) == "a2"
    source.epochs["alice"] = "a3"
    epochs.wrote(ALICE)
    assert await epochs.at_hand(ALICE) == "a3"


async def test_what_was_read_earlier_does_not_take_the_place_of_what_was_read_later(
    source: Source, clock: Clock
) -> None:
    """Replies overtake one another; the later read knows better, and longer."""
    epochs = epochs_of(source, 0.1)
    slow = epochs.mark(ALICE)
    clock.now += 0.05
    epochs.note(ALICE, "a2", epochs.mark(ALICE))
    clock.now += 0.01
    epochs.note(ALICE, "a1", slow)
    assert epochs.remembered(ALICE) == "a2"
    clock.now += 0.08
    assert epochs.remembered(ALICE) == "a2"  # its own time counts
    clock.now += 0.02
    assert epochs.remembered(ALICE) is None
    epochs.note(ALICE, "a1", slow)
    assert epochs.remembered(ALICE) is None
    epochs.note(ALICE, "a3", epochs.mark(ALICE))
    assert [epochs.remembered(ALICE), source.reads] == ["a3", 0]


async def test_a_slow_read_does_not_bring_an_older_epoch_back(source: Source, clock: Clock) -> None:
    """The same as requests meet it."""
    epochs = epochs_of(source, 60.0)
    source.gate.clear()
    slow = asyncio.create_task(epochs.current(ALICE))
    await asyncio.sleep(0)
    source.epochs["alice"] = "a2"
    clock.now += 1
    epochs.note(ALICE, "a2", epochs.mark(ALICE))  # as statistics do
    source.gate.set()
    assert [await slow, await epochs.current(ALICE)] == ["a1", "a2"]


def test_unchanged_is_about_one_user_and_this_process(source: Source) -> None:
    """In strict coherence too."""
    epochs = epochs_of(source)
    mark, other = epochs.mark(ALICE), epochs.mark(BOB)
    epochs.wrote(BOB)
    assert [epochs.unchanged(ALICE, mark), epochs.unchanged(BOB, other)] == [True, False]
    epochs.wrote(ALICE)
    assert not epochs.unchanged(ALICE, mark)
    assert epochs.unchanged(ALICE, epochs.mark(ALICE))


def test_no_write_is_overlooked_when_users_are_forgotten(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many users there are; what is kept of them is bounded."""
    monkeypatch.setattr(module, "_USERS", 4)
    epochs = epochs_of(source, 60.0)
    users = [Scope(f"user {number}") for number in range(11)]
    for user in users:
        before = epochs.mark(user)
        epochs.wrote(user)
        for another in users:
            marked = epochs.mark(another)
            assert epochs.unchanged(another, marked)
        assert not epochs.unchanged(user, before)
        assert len(epochs._written) <= 4
    mark = epochs.mark(users[0])
    for user in users[1:]:
        epochs.wrote(user)
    assert not epochs.unchanged(users[0], mark)  # never the other way: it counts as written, to be safe


async def test_remembered_epochs_are_bounded(source: Source, clock: Clock) -> None:
    """An epoch for each of very many users would grow without end."""
    assert epochs_of(source, 60.0)._known.maxsize == module._USERS
    assert clock.now == 1_000


async def test_a_failed_read_leaves_nothing_behind(source: Source, clock: Clock) -> None:
    """The next one reads."""
    epochs = epochs_of(source, 60.0)
    source.gate.clear()
    reading = asyncio.create_task(epochs.current(ALICE))
    await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    source.gate.set()
    assert [epochs.remembered(ALICE), await epochs.current(ALICE), source.reads] == [None, "a1", 2]
    assert clock.now == 1_000
