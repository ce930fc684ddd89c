"""Single flight: what several ask for at the same time is done once."""

from __future__ import annotations

import asyncio
import math
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

__all__ = ["Abandoned", "Flight", "Flights"]

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Abandoned(Exception):
    """The one who did the work has left in the middle of it; one of those who wait may begin anew."""


class Flights(Generic[K, V]):
    """What is under way, by what it is about.

    Args:
        name: Of its tasks.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._flights: dict[K, Flight[V]] = {}

    def get(self, key: K) -> Flight[V] | None:
        """The one under way; one that has landed is none, for it may tell of what is over."""
        flight = self._flights.get(key)
        return None if flight is None or flight.landed else flight

    def begin(self, key: K, work: Coroutine[Any, Any, V], *, until: float = math.inf) -> Flight[V]:
        """Begins one in place of any other.

        Args:
            key: What it is about.
            work: What is done.
            until: See `Flight`.
        """
        return self.lead(key, until=until).go_on(work)

    def lead(self, key: K, *, until: float = math.inf) -> Flight[V]:
        """Begins one that its caller carries out, in place of any other.

        It saves a task where the work is short. The caller has to end it, by `Flight.land`, `Flight.fail` or
        `Flight.go_on`, whatever happens.

        Args:
            key: What it is about.
            until: See `Flight`.
        """

        def left(flight: Flight[V]) -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]

        flight = self._flights[key] = Flight(self._name, until, left)
        return flight


class Flight(Generic[V]):
    """Work that any number of callers wait for: done by the one who began it, or by a task.

    A task is given up when nobody waits for it any more.

    Args:
        name: Of the task.
        until: When the one who began it gives up, on the clock of `time.perf_counter`.
        left: Called with this once it has landed.

    Attributes:
        began: When, on that clock.
        until: As given.
    """

    __slots__ = ("_left", "_name", "_news", "_over", "_task", "_waiting", "began", "until")

    def __init__(self, name: str, until: float, left: Callable[[Flight[V]], None]) -> None:
        self.began = perf_counter()
        self.until = until
        self._name = name
        self._left = left
        self._task: asyncio.Task[V] | None = None
        self._news: asyncio.Future[V | None] | None = None  # of the one who does the work, once somebody waits for it
        self._over = False
        self._waiting = 0

    @property
    def landed(self) -> bool:
        """Whether it has ended, or was given up."""
        if self._task is not None:
            return self._task.done() or self._task.cancelling() > 0
        return self._over

    def land(self, value: V) -> None:
        """The work is done, by the caller."""
        self._end()
        if self._news is not None and not self._news.done():
            self._news.set_result(value)

    def fail(self, error: BaseException) -> None:
        """The work has failed, or its caller is being cancelled, which is not the others' affair."""
        self._end()
        if self._news is not None and not self._news.done():
            self._news.set_exception(error if isinstance(error, Exception) else Abandoned())
            self._news.exception()  # those who wait may be gone

    def go_on(self, work: Coroutine[Any, Any, V]) -> Flight[V]:
        """Has a task do it, or the rest of it, which goes on when the caller leaves and others wait. Returns this."""
        self._task = asyncio.create_task(work, name=self._name)
        self.on_end(lambda _: self._left(self))
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        return self

    def on_end(self, call: Callable[[asyncio.Task[V]], None]) -> None:
        """Has a function called with the task, which there is, when it has ended."""
        if self._task is None:
            raise RuntimeError("the flight has no task")
        self._task.add_done_callback(call)
        self._task.add_done_callback(_seen)

    async def answer(self) -> V:
        """The result, or the error, once it is there.

        Raises:
            Abandoned: The caller who did the work has left.
        """
        self._waiting += 1
        try:
            if self._task is None:
                if self._news is None:
                    self._news = asyncio.get_running_loop().create_future()
                value = await asyncio.shield(self._news)
                if self._task is None:
                    return cast("V", value)
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and self._task is not None and not self._task.done():
                self._task.cancel()

    def _end(self) -> None:
        self._over = True
        self._left(self)


def _seen(task: asyncio.Task[Any]) -> None:
    """Takes note of an error nobody waits for any more."""
    if not task.cancelled():
        task.exception()
