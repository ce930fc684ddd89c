"""Single flight: what several ask for at the same time is done once."""

from __future__ import annotations

import asyncio
import math
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable

__all__ = ["Flight", "Flights"]

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


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
        flight = Flight(asyncio.create_task(work, name=self._name), until)

        def left(_: object) -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]

        self._flights[key] = flight
        flight.on_end(left)
        return flight


class Flight(Generic[V]):
    """Work that any number of callers wait for. When nobody does any more it is given up.

    Args:
        task: The work.
        until: When the one who began it gives up, on the clock of `time.perf_counter`.

    Attributes:
        began: When, on that clock.
        until: As given.
    """

    def __init__(self, task: asyncio.Task[V], until: float) -> None:
        self.began = perf_counter()
        self.until = until
        self._task = task
        self._waiting = 0

    @property
    def landed(self) -> bool:
        """Whether it has ended, or was given up."""
        return self._task.done() or self._task.cancelling() > 0

    def on_end(self, call: Callable[[asyncio.Task[V]], None]) -> None:
        """Has a function called with the task when it has ended."""
        self._task.add_done_callback(call)
        self._task.add_done_callback(_seen)

    async def answer(self) -> V:
        """The result, or the error, once it is there."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._task.cancel()


def _seen(task: asyncio.Task[Any]) -> None:
    """Takes note of an error nobody waits for any more."""
    if not task.cancelled():
        task.exception()
