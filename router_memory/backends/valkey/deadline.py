"""Deadlines of calls: what a call waits for is ended, not the task that waits."""

from __future__ import annotations

import asyncio
import math
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    _T = TypeVar("_T")

__all__ = ["Deadline", "Deadlines"]

_LEAST_SECONDS = 0.001
"""uvloop counts in milliseconds: its timers may go off before their time, and would again at once."""


class Deadline:
    """Ends the wait of a call after some seconds.

    `asyncio.timeout` cancels the task it was entered in, so a call has to be awaited at once and costs twice as much.
    This cancels the future that the call is suspended on. A call may thus be begun, left alone for a while and awaited
    later, beside others of the same task. Of a call in several parts each is kept by itself; the deadline is of all.

    Args:
        at: When it is missed, on the clock of the event loop; `Deadlines` sees to it.

    Attributes:
        at: As given.
    """

    __slots__ = ("_future", "_missed", "at")

    def __init__(self, at: float) -> None:
        self.at = at
        self._future: asyncio.Future[Any] | None = None
        self._missed = False

    def end(self) -> None:
        """Makes the call miss it now."""
        self._missed = True
        if self._future is not None:
            self._future.cancel()

    @coroutine
    def keep(self, call: Coroutine[Any, Any, _T]) -> Generator[Any, Any, _T]:
        """The result of a call, or of a part of one, that has to be in time.

        Raises:
            TimeoutError: It is not.
        """
        task = asyncio.current_task()
        cancelled = 0 if task is None else task.cancelling()
        try:
            future = call.send(None)
            while True:
                self._future = future
                if self._missed and future is not None:
                    future.cancel()
                try:
                    yield future
                except GeneratorExit:
                    call.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the call's, which gives or raises something else
                    future = call.throw(error)
                else:
                    future = call.send(None)
        except StopIteration as ended:
            result: _T = ended.value
            return result
        except asyncio.CancelledError:
            now = asyncio.current_task()  # another one, if the call was handed over
            if self._missed and (now is None or now.cancelling() <= (cancelled if now is task else 0)):
                raise TimeoutError from None
            raise
        finally:
            self._future = None


class Deadlines:
    """Those of the calls under way on one event loop, with one timer for all of them.

    A timer for each call would cost half of what its deadline does. This one is set for the first of them to come; when
    it goes off it is set anew, for the first of those that are under way then. A deadline may be a millisecond late.
    """

    __slots__ = ("_at", "_loop", "_open", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open: set[Deadline] = set()
        self._at = math.inf  # not asked of the timer, for uvloop has some that cannot tell
        self._timer: asyncio.Handle | None = None

    def __len__(self) -> int:
        """How many calls are under way."""
        return len(self._open)

    def begin(self, seconds: float) -> Deadline:
        """The deadline of a call that begins. Give it back to `over` when the call has ended, however it did.

        Args:
            seconds: After which it is missed.
        """
        deadline = Deadline(self._loop.time() + seconds)
        self._open.add(deadline)
        if deadline.at < self._at:
            self._watch(deadline.at)
        return deadline

    def over(self, deadline: Deadline) -> None:
        """Its call has ended."""
        self._open.discard(deadline)

    def end(self) -> None:
        """Makes all calls that are under way miss theirs now."""
        for deadline in tuple(self._open):
            deadline.end()

    def close(self) -> None:
        """Watches none of those that have begun."""
        if self._timer is not None:
            self._timer.cancel()
        self._at, self._timer = math.inf, None

    def _watch(self, at: float) -> None:
        self.close()
        self._at, self._timer = at, self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._at, self._timer, now = math.inf, None, self._loop.time()
        first = math.inf
        for deadline in tuple(self._open):
            if deadline.at <= now:
                deadline.end()
            else:
                first = min(first, deadline.at)
        if first < math.inf:
            self._watch(max(first, now + _LEAST_SECONDS))
