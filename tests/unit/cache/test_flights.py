"""What several ask for at the same time is done once."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.cache import Abandoned, Flights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.cache import Flight


class Work:
    """Work that ends when it is told to.

    Attributes:
        begun, cancelled: How often.
        gate: While cleared, it goes on.
        failure: Raised in the end.
    """

    def __init__(self, failure: Exception | None = None) -> None:
        self.begun = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.failure = failure

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        return number


@pytest.fixture
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """What the event loop was told of: there must be nothing in the end."""
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    yield told
    await turns()
    gc.collect(1)
    await turns()
    assert told == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def flights() -> Flights[str, int]:
    return Flights("test-flight")


async def turns(count: int = 5) -> None:
    """Some turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def waiting(flight: Flight[int], count: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(flight.answer()) for _ in range(count)]


pytestmark = pytest.mark.usefixtures("complaints")


async def test_all_who_wait_get_the_answer(flights: Flights[str, int]) -> None:
    """Of one piece of work, under its own name."""
    work = Work()
    flight = flights.begin("a", work())
    assert flights.get("a") is flight
    assert flights.get("b") is None
    asking = waiting(flight, 3)
    await turns()
    assert "test-flight" in {task.get_name() for task in asyncio.all_tasks()}
    work.gate.set()
    assert [await asyncio.gather(*asking), work.begun] == [[1, 1, 1], 1]


async def test_what_is_about_something_else_goes_beside_it(flights: Flights[str, int]) -> None:
    """In its own time."""
    one, other = Work(), Work()
    first, second = waiting(flights.begin("a", one()), 1)[0], waiting(flights.begin("b", other()), 1)[0]
    other.gate.set()
    assert await second == 1
    assert [flights.get("a") is None, flights.get("b")] == [False, None]
    one.gate.set()
    await first


@pytest.mark.parametrize("failure", [None, ZeroDivisionError()])
async def test_one_that_has_landed_is_none(flights: Flights[str, int], failure: Exception | None) -> None:
    """From the very turn of the event loop in which it ends, before anybody is told."""
    seen: list[Flight[int] | None] = []
    work = Work(failure)
    flight = flights.begin("a", work())
    flight.on_end(lambda _: seen.append(flights.get("a")))
    asking = waiting(flight, 2)
    await turns()
    assert flights.get("a") is flight
    work.gate.set()
    for _ in range(5):
        assert (flights.get("a") is None) == flight.landed
        await asyncio.sleep(0)
    assert flights.get("a") is None
    await asyncio.gather(*asking, return_exceptions=True)
    assert [seen, flights._flights] == [[None], {}]


async def test_an_answer_that_is_there_can_still_be_had(flights: Flights[str, int]) -> None:
    """By one who got hold of it in time."""
    work = Work()
    work.gate.set()
    flight = flights.begin("a", work())
    assert [await flight.answer(), await flight.answer(), work.begun] == [1, 1, 1]


async def test_an_error_reaches_all_and_is_not_kept(flights: Flights[str, int]) -> None:
    """The very error."""
    work = Work(ZeroDivisionError())
    asking = waiting(flights.begin("a", work()), 3)
    await turns()
    work.gate.set()
    raised = await asyncio.gather(*asking, return_exceptions=True)
    assert [error is work.failure for error in raised] == [True] * 3
    assert flights.get("a") is None
    work.failure = None
    assert await flights.begin("a", work()).answer() == 2


async def test_one_who_leaves_stops_nobody(flights: Flights[str, int]) -> None:
    """Not even the one who began."""
    work = Work()
    flight = flights.begin("a", work())
    leader, *others = waiting(flight, 3)
    await turns()
    leader.cancel()
    await asyncio.wait({leader})
    assert [leader.cancelled(), flights.get("a") is flight, work.cancelled] == [True, True, 0]
    work.gate.set()
    assert await asyncio.gather(*others) == [1, 1]


async def test_the_last_who_leaves_ends_it(flights: Flights[str, int]) -> None:
    """One who comes in the same turn begins another one."""
    work = Work()
    flight = flights.begin("a", work())
    asking = waiting(flight, 3)
    await turns()
    for task in asking:
        task.cancel()
    for _ in range(5):
        if not flight.landed:
            await asyncio.sleep(0)
    assert [flight.landed, flights.get("a"), work.cancelled] == [True, None, 0]  # it does not know yet
    anew = flights.begin("a", work())
    asked = waiting(anew, 1)[0]
    await turns()
    assert [work.cancelled, flights.get("a") is anew] == [1, True]  # the end of the first took nothing away
    work.gate.set()
    assert await asked == 2


async def test_work_that_takes_its_time_to_end_is_none(flights: Flights[str, int]) -> None:
    """It was given up."""
    leaving, gate = asyncio.Event(), asyncio.Event()

    async def slow() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            leaving.set()
            await gate.wait()
        return 1

    flight = flights.begin("a", slow())
    asking = waiting(flight, 1)[0]
    await turns()
    asking.cancel()
    await leaving.wait()
    assert [flight.landed, flights.get("a")] == [True, None]
    gate.set()


async def test_another_one_may_take_its_place(flights: Flights[str, int]) -> None:
    """Those who wait for the first still get its answer, and its end does not touch the second."""
    one, other = Work(), Work()
    first = flights.begin("a", one())
    asking = waiting(first, 1)[0]
    second = flights.begin("a", other())
    later = waiting(second, 1)[0]
    await turns()
    one.gate.set()
    await asking
    await turns()
    assert flights.get("a") is second
    other.gate.set()
    await later
    await turns()
    assert flights.get("a") is None


async def test_an_error_for_nobody_is_no_complaint(flights: Flights[str, int]) -> None:
    """Whoever asked has left, or never came; or it fails while it is given up."""
    work = Work(ZeroDivisionError())
    work.gate.set()
    flights.begin("a", work())

    async def fails_at_its_end() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            raise ZeroDivisionError

    asking = waiting(flights.begin("b", fails_at_its_end()), 1)[0]
    await turns()
    asking.cancel()
    await asyncio.wait({asking})
    await turns()
    assert [flights.get("a"), flights.get("b"), flights._flights] == [None, None, {}]


async def test_an_error_after_one_has_left_is_no_complaint(flights: Flights[str, int]) -> None:
    """The others have it."""
    work = Work(ZeroDivisionError())
    left, stayed = waiting(flights.begin("a", work()), 2)
    await turns()
    left.cancel()
    await turns()
    work.gate.set()
    with pytest.raises(ZeroDivisionError):
        await stayed


async def test_work_that_cancels_itself_cancels_who_waits(flights: Flights[str, int]) -> None:
    """As one who awaits it would be."""

    async def given_up() -> int:
        raise asyncio.CancelledError

    asking = waiting(flights.begin("a", given_up()), 2)
    await asyncio.wait(asking)
    assert [task.cancelled() for task in asking] == [True, True]
    await turns()
    assert flights._flights == {}


async def test_it_says_when_it_began_and_until_when_its_leader_waits(flights: Flights[str, int]) -> None:
    """Without an end unless one is given."""
    work = Work()
    work.gate.set()
    before = time.perf_counter()
    flight = flights.begin("a", work())
    assert before <= flight.began <= time.perf_counter()
    assert flight.until == math.inf
    other = flights.begin("b", work(), until=7.0)
    assert other.until == 7.0
    await asyncio.gather(flight.answer(), other.answer())


async def test_one_may_do_the_work_oneself(flights: Flights[str, int]) -> None:
    """Without a task; those who wait have what it gives."""
    flight = flights.lead("a", until=7.0)
    assert [flights.get("a") is flight, flight.until] == [True, 7.0]
    asking = waiting(flight, 2)
    await turns()
    flight.land(3)
    assert [flight.landed, flights.get("a"), flights._flights] == [True, None, {}]
    assert await asyncio.gather(*asking) == [3, 3]


@pytest.mark.parametrize("waits", [0, 2])
async def test_ones_own_error_reaches_all(flights: Flights[str, int], waits: int) -> None:
    """Or nobody, without a complaint."""
    flight, error = flights.lead("a"), ZeroDivisionError()
    asking = waiting(flight, waits)
    await turns()
    flight.fail(error)
    assert flights.get("a") is None
    raised = await asyncio.gather(*asking, return_exceptions=True)
    assert [one is error for one in raised] == [True] * waits


async def test_one_who_leaves_in_the_middle_of_it_says_so(flights: Flights[str, int]) -> None:
    """Those who wait are not cancelled with the one who is."""
    flight = flights.lead("a")
    asking = waiting(flight, 2)
    await turns()
    asking[0].cancel()
    flight.fail(asyncio.CancelledError())
    raised = await asyncio.gather(*asking, return_exceptions=True)
    assert list(map(type, raised)) == [asyncio.CancelledError, Abandoned]


async def test_the_rest_can_be_left_to_a_task(flights: Flights[str, int]) -> None:
    """For those who waited before and those who come later; it ends with the last of them."""
    work = Work()
    flight = flights.lead("a")
    early = waiting(flight, 1)
    await turns()
    assert flight.go_on(work()) is flight
    assert [flight.landed, flights.get("a") is flight] == [False, True]
    late = waiting(flight, 1)
    await turns()
    early[0].cancel()
    await turns()
    assert [work.cancelled, flight.landed] == [0, False]
    work.gate.set()
    assert await late[0] == 1
    assert flights.get("a") is None


async def test_a_flight_without_a_task_has_no_end_to_be_told_of(flights: Flights[str, int]) -> None:
    """Whoever leads it knows."""
    flight = flights.lead("a")
    with pytest.raises(RuntimeError):
        flight.on_end(lambda _: None)
    flight.land(1)
