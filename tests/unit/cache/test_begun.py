"""Work that is begun before it is awaited."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from router_memory.cache import Begun


class Work:
    """Work that waits for one reply.

    Attributes:
        reply: What it waits for.
        steps: How far it came.
    """

    def __init__(self) -> None:
        self.reply: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.steps: list[str] = []

    async def __call__(self) -> int:
        self.steps.append("begun")
        try:
            return await self.reply
        finally:
            self.steps.append("ended")


async def test_it_runs_up_to_where_it_waits() -> None:
    """At once, and no further."""
    work = Work()
    begun = Begun(work())
    assert [work.steps, begun.done] == [["begun"], False]
    work.reply.set_result(7)
    await asyncio.sleep(0)
    assert work.steps == ["begun"]
    assert [await begun, begun.done, work.steps] == [7, True, ["begun", "ended"]]
    assert await begun == 7


async def test_two_wait_at_the_same_time() -> None:
    """Whichever reply comes first."""
    first, second = Work(), Work()
    both = Begun(first()), Begun(second())
    asyncio.get_running_loop().call_soon(second.reply.set_result, 2)
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, first.reply.set_result, 1)
    assert [await one for one in both] == [1, 2]


async def test_work_that_waits_for_nothing_is_done() -> None:
    """With what it gives or raises, told to who awaits it."""

    async def given() -> int:
        return 3

    async def failed() -> int:
        raise ZeroDivisionError

    assert [Begun(given()).done, await Begun(given())] == [True, 3]
    begun = Begun(failed())
    assert begun.done
    with pytest.raises(ZeroDivisionError):
        await begun


async def test_work_may_wait_several_times() -> None:
    """For turns of the event loop too."""

    async def slow() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return 4

    assert await Begun(slow()) == 4


async def test_an_error_of_the_reply_reaches_the_work() -> None:
    """Which may make something of it."""
    work = Work()
    begun = Begun(work())
    work.reply.set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await begun
    assert work.steps == ["begun", "ended"]


async def test_who_awaits_it_can_be_cancelled() -> None:
    """And so is the work."""
    work = Work()

    async def waiting() -> int:
        return await Begun(work())

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert [task.cancelled(), work.steps, work.reply.cancelled()] == [True, ["begun", "ended"], True]


async def test_closed_it_ends_where_it_is() -> None:
    """A reply or an error that comes later, or has come, is nobody's, and no complaint."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    work, failed = Work(), Work()
    begun, other = Begun(work()), Begun(failed())
    failed.reply.set_exception(ZeroDivisionError())
    for one in (begun, other):
        one.close()
        one.close()
    assert [begun.done, work.steps, work.reply.cancelled()] == [True, ["begun", "ended"], True]
    with pytest.raises(asyncio.CancelledError):
        await begun
    del failed, other, one
    gc.collect(1)
    assert told == []


async def test_another_task_may_take_it_over() -> None:
    """When the one that began it has left."""
    work = Work()
    begun = Begun(work())

    async def taken() -> int:
        return await begun

    task = asyncio.create_task(taken())
    await asyncio.sleep(0)
    work.reply.set_result(5)
    assert await task == 5
