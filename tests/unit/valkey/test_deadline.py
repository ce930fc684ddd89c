"""A call that is in time, or is not."""

from __future__ import annotations

import asyncio

import pytest

from router_memory.backends.valkey.deadline import Deadline
from router_memory.cache import Begun


def reply() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()


async def waiting(*replies: asyncio.Future[int]) -> int:
    return sum([await one for one in replies])


async def test_what_is_in_time_is_given() -> None:
    """However often it waits; an error is raised as it is."""
    first, second, failed = reply(), reply(), reply()
    asyncio.get_running_loop().call_soon(first.set_result, 1)
    asyncio.get_running_loop().call_later(0.001, second.set_result, 2)
    assert await Deadline(60).keep(waiting(first, second)) == 3
    failed.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await Deadline(60).keep(waiting(failed))


async def test_what_is_late_is_ended() -> None:
    """Where it waits, which nobody answers any more."""
    first, second = reply(), reply()
    first.set_result(1)
    with pytest.raises(TimeoutError):
        await Deadline(0.001).keep(waiting(first, second))
    assert second.cancelled()


async def test_every_part_of_a_call_has_to_be_in_time() -> None:
    """The connection that was waited for may be one on which nothing is answered."""
    deadline, first, second = Deadline(0.02), reply(), reply()
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
    early = Deadline(60)
    early.end()
    with pytest.raises(TimeoutError):
        await early.keep(waiting(reply()))
    middle = Deadline(60)
    asyncio.get_running_loop().call_soon(middle.end)
    with pytest.raises(TimeoutError):
        await middle.keep(waiting(reply()))
    done = reply()
    done.set_result(1)
    after = Deadline(60)
    assert await after.keep(waiting(done)) == 1
    after.end()


async def test_who_is_cancelled_is_not_late() -> None:
    """Even when the deadline passes in the same turn of the event loop, before or after."""
    for first in ("deadline", "cancel"):
        deadline, wanted = Deadline(60), reply()
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
                await Deadline(0.001).keep(waiting(reply()))
            except TimeoutError:
                return "late"
        return "in time"

    task = asyncio.create_task(cleaning())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "late"


async def test_a_call_that_is_begun_is_late_alone() -> None:
    """What is awaited meanwhile goes on, which `asyncio.timeout` would end."""
    begun = Begun(Deadline(0.001).keep(waiting(reply())))
    other = reply()
    asyncio.get_running_loop().call_later(0.01, other.set_result, 1)
    assert await other == 1
    with pytest.raises(TimeoutError):
        await begun


async def test_no_timer_is_left() -> None:
    """However the call ends."""
    done = reply()
    done.set_result(1)
    kept, closed = Deadline(60), Deadline(60)
    await kept.keep(waiting(done))
    Begun(closed.keep(waiting(reply()))).close()
    assert [kept._timer.cancelled(), closed._timer.cancelled()] == [True, True]
