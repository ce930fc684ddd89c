"""A call that is in time, or is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop

from router_memory.backends.valkey.deadline import Deadline, Deadlines
from router_memory.cache import Begun


def reply() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


def within(seconds: float) -> Deadline:
    return Deadlines().begin(seconds)


async def waiting(*replies: asyncio.Future[int]) -> int:
    return sum([await one for one in replies])


async def test_what_is_in_time_is_given() -> None:
    """However often it waits; an error is raised as it is."""
    first, second, failed = reply(), reply(), reply()
    asyncio.get_running_loop().call_soon(first.set_result, 1)
    asyncio.get_running_loop().call_later(0.001, second.set_result, 2)
    assert await within(60).keep(waiting(first, second)) == 3
    failed.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await within(60).keep(waiting(failed))


async def test_what_is_late_is_ended() -> None:
    """Where it waits, which nobody answers any more."""
    first, second = reply(), reply()
    first.set_result(1)
    with pytest.raises(TimeoutError):
        await within(0.001).keep(waiting(first, second))
    assert second.cancelled()


async def test_every_part_of_a_call_has_to_be_in_time() -> None:
    """The connection that was waited for may be one on which nothing is answered."""
    deadline, first, second = within(0.02), reply(), reply()
    asyncio.get_running_loop().call_later(0.001, first.set_result, 1)
    assert await deadline.keep(waiting(first)) == 1
    safety = asyncio.get_running_loop().call_later(5, second.set_result, 2)
    with pytest.raises(TimeoutError):
        await deadline.keep(waiting(second))
    safety.cancel()
    with pytest.raises(TimeoutError):
        await deadline.keep(waiting(reply()))


async def test_it_can_be_missed_at_any_time() -> None:
    """Before the call, in the middle of it, or never."""
    early = within(60)
    early.end()
    with pytest.raises(TimeoutError):
        await early.keep(waiting(reply()))
    middle = within(60)
    asyncio.get_running_loop().call_soon(middle.end)
    with pytest.raises(TimeoutError):
        await middle.keep(waiting(reply()))
    done = reply()
    done.set_result(1)
    after = within(60)
    assert await after.keep(waiting(done)) == 1
    after.end()


async def test_who_is_cancelled_is_not_late() -> None:
    """Even when the deadline passes in the same turn of the event loop, before or after."""
    for first in ("deadline", "cancel"):
        deadline, wanted = within(60), reply()
        task = asyncio.create_task(deadline.keep(waiting(wanted)))
        await asyncio.sleep(0)
        for what in (deadline.end, task.cancel) if first == "deadline" else (task.cancel, deadline.end):
            what()
        await asyncio.wait({task})
        assert [task.cancelled(), wanted.cancelled()] == [True, True]


async def test_one_who_was_cancelled_before_may_be_late() -> None:
    """While it cleans up."""

    async def cleaning() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            try:
                await within(0.001).keep(waiting(reply()))
            except TimeoutError:
                return "late"
        return "in time"

    task = asyncio.create_task(cleaning())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "late"


async def test_a_call_that_is_begun_is_late_alone() -> None:
    """What is awaited meanwhile goes on, which `asyncio.timeout` would end."""
    begun = Begun(within(0.001).keep(waiting(reply())))
    other = reply()
    asyncio.get_running_loop().call_later(0.01, other.set_result, 1)
    assert await other == 1
    with pytest.raises(TimeoutError):
        await begun


async def test_calls_share_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set for the first deadline to come, and for none once all calls have ended."""
    deadlines, loop = Deadlines(), asyncio.get_running_loop()
    set_for: list[float] = []
    call_at = loop.call_at

    def watched(at: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        set_for.append(at)
        return call_at(at, *rest, **more)

    monkeypatch.setattr(loop, "call_at", watched)
    late, later, early = deadlines.begin(0.3), deadlines.begin(60), deadlines.begin(0.01)
    assert set_for == [late.at, early.at]
    deadlines.over(later)
    for deadline in (early, late):
        with pytest.raises(TimeoutError):
            await deadline.keep(waiting(reply()))
        deadlines.over(deadline)
    assert loop.time() >= late.at - 0.001
    assert set_for == [late.at, early.at, late.at]
    assert len(deadlines) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.0003, 0.0104, 0.0203])
def test_any_time_will_do_on_uvloop(seconds: float) -> None:
    """It counts in milliseconds, and has timers that cannot tell their time; the service runs on it."""
    turns = 0

    async def missing() -> None:
        deadlines, loop = Deadlines(), asyncio.get_running_loop()
        look = deadlines._look

        def counted() -> None:
            nonlocal turns
            turns += 1
            look()

        monkeypatch.setattr(Deadlines, "_look", lambda _: counted())
        first, second, last = deadlines.begin(seconds), deadlines.begin(seconds + 0.0007), deadlines.begin(60)
        began = loop.time()
        for deadline in (first, second):
            with pytest.raises(TimeoutError):
                await deadline.keep(waiting(reply()))
            deadlines.begin(60)
            deadlines.over(deadline)
        assert loop.time() - began < 5
        done = reply()
        loop.call_later(0.005, done.set_result, 1)
        assert await last.keep(waiting(done)) == 1
        deadlines.close()

    with pytest.MonkeyPatch.context() as monkeypatch, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(missing())
    assert turns <= 5


async def test_one_that_begins_after_the_end_is_watched() -> None:
    """However late it is."""
    deadlines = Deadlines()
    deadlines.begin(0.001)
    deadlines.close()
    with pytest.raises(TimeoutError):
        await deadlines.begin(0.01).keep(waiting(reply()))


async def test_each_is_late_by_itself() -> None:
    """Those that share a timer with one that is late go on."""
    deadlines = Deadlines()
    early, late = deadlines.begin(0.01), deadlines.begin(60)
    answer = reply()
    going_on = asyncio.create_task(late.keep(waiting(answer)))
    with pytest.raises(TimeoutError):
        await early.keep(waiting(reply()))
    answer.set_result(1)
    assert await going_on == 1


async def test_all_can_be_ended_at_once() -> None:
    """As when a connection is closed, which leaves no timer."""
    deadlines = Deadlines()
    tasks = [asyncio.create_task(deadlines.begin(60).keep(waiting(reply()))) for _ in range(3)]
    await asyncio.sleep(0)
    deadlines.end()
    deadlines.close()
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [TimeoutError] * 3
    assert deadlines._timer is None
