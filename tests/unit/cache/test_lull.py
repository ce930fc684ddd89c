"""Work that nobody waits for begins when no request is under way, or after a while."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router_memory.cache import lull as module
from router_memory.cache.lull import Lull

if TYPE_CHECKING:
    from collections.abc import Callable


class Timers:
    """A clock that stands, and timers that are looked at by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.set: list[Callable[[], None]] = []
        self.next: list[Callable[[], None]] = []
        monkeypatch.setattr(module, "monotonic", lambda: self.now)
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self.call_later)

    def call_later(self, delay: float, call: Callable[[], None]) -> object:
        assert delay in {0.0, module._AFTER_SECONDS}
        (self.set if delay else self.next).append(call)
        return call

    async def pass_by(self, seconds: float) -> None:
        """Lets time pass and the timers that were set fire, and those that are set for at once."""
        self.now += seconds
        self.next, self.set = [*self.next, *self.set], []
        while self.next:
            await self.turn()

    async def turn(self) -> None:
        """Lets the timers that are due fire, and what they begin go on."""
        timers, self.next = self.next, []
        for call in timers:
            call()
        await asyncio.sleep(0)


@pytest.fixture
async def timers(monkeypatch: pytest.MonkeyPatch) -> Timers:
    return Timers(monkeypatch)


async def waiting(lull: Lull, count: int = 1) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(lull.comes()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_work_begins_when_no_request_is_under_way(timers: Timers) -> None:
    """Not at once, for the next one may come; all of it in one such moment."""
    lull = Lull()
    lull.came()
    works = await waiting(lull, 3)
    await timers.pass_by(module._AFTER_SECONDS)
    lull.left()
    await timers.pass_by(module._AFTER_SECONDS / 2)
    assert not any(work.done() for work in works)
    await timers.pass_by(module._AFTER_SECONDS)
    assert all(work.done() for work in works)


@pytest.mark.parametrize("overdue", [False, True])
async def test_a_request_comes_between_one_piece_of_work_and_the_next(timers: Timers, overdue: bool) -> None:
    """All of it at once would hold up who comes meanwhile for as long as all of it takes: tens of milliseconds."""
    lull = Lull()
    if overdue:
        lull.came()
    works = await waiting(lull, 3)
    timers.now += 2 * module._BEFORE_SECONDS if overdue else 2 * module._AFTER_SECONDS
    timers.next, timers.set = timers.set, []
    for begun in (1, 2):
        await timers.turn()
        assert [sum(work.done() for work in works), len(timers.next), len(timers.set)] == [begun, 1, 0]
    if not overdue:
        lull.came()
    await timers.turn()
    assert [work.done() for work in works] == [True, True, overdue]
    assert [timers.next, len(timers.set)] == [[], 0 if overdue else 1]
    lull.end()
    await asyncio.gather(*works)


async def test_a_request_among_others_ends_nothing(timers: Timers) -> None:
    """Until the last one has left, somebody is being served."""
    lull = Lull()
    lull.came()
    lull.came()
    [work] = await waiting(lull)
    lull.left()
    await timers.pass_by(2 * module._AFTER_SECONDS)
    assert not work.done()
    lull.left()
    await timers.pass_by(2 * module._AFTER_SECONDS)
    assert work.done()


async def test_work_does_not_wait_for_ever(timers: Timers) -> None:
    """What has waited long enough begins among requests; what came later waits on."""
    lull = Lull()
    lull.came()
    [first] = await waiting(lull)
    await timers.pass_by(module._BEFORE_SECONDS * 0.9)
    [second] = await waiting(lull)
    await timers.pass_by(module._BEFORE_SECONDS * 0.2)
    assert [first.done(), second.done()] == [True, False]
    await timers.pass_by(module._BEFORE_SECONDS)
    assert second.done()


async def test_however_much_waits_one_timer_is_set(timers: Timers) -> None:
    """And none when nothing waits: waiting must cost requests nothing."""
    lull = Lull()
    for _ in range(3):
        lull.came()
        works = await waiting(lull, 20)
        assert len(timers.set) == 1
        await timers.pass_by(2 * module._AFTER_SECONDS)
        assert len(timers.set) == 1
        lull.left()
        await timers.pass_by(2 * module._AFTER_SECONDS)
        assert [all(work.done() for work in works), timers.set] == [True, []]


async def test_at_the_end_nothing_waits(timers: Timers) -> None:
    """Neither what waits nor what comes after."""
    lull = Lull()
    lull.came()
    works = await waiting(lull, 2)
    lull.end()
    works += await waiting(lull)
    await asyncio.sleep(0)
    assert all(work.done() for work in works)


async def test_work_that_was_given_up_disturbs_no_other(timers: Timers) -> None:
    """It waits no longer, and what waited beside it begins."""
    lull = Lull()
    lull.came()
    given_up, other = await waiting(lull, 2)
    given_up.cancel()
    await asyncio.sleep(0)
    lull.left()
    await timers.pass_by(2 * module._AFTER_SECONDS)
    assert [given_up.cancelled(), other.done(), other.cancelled()] == [True, True, False]
