"""The deadline of one call: what it waits for is ended, not the task that waits."""

from __future__ import annotations

import asyncio
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    _T = TypeVar("_T")

__all__ = ["Deadline"]


class Deadline:
    """Ends the wait of a call after some seconds.

    `asyncio.timeout` cancels the task it was entered in, so a call has to be awaited at once and costs twice as much.
    This cancels the future that the call is suspended on. A call may thus be begun, left alone for a while and awaited
    later, beside others of the same task. Of a call in several parts each is kept by itself; the deadline is of all.

    Args:
        seconds: After which it is missed.
    """

    __slots__ = ("_future", "_missed", "_timer")

    def __init__(self, seconds: float) -> None:
        self._future: asyncio.Future[Any] | None = None
        self._missed = False
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end)

    def end(self) -> None:
        """Makes the call miss it now."""
        self._missed = True
        self._timer.cancel()
        if self._future is not None:
            self._future.cancel()

    @coroutine
    def keep(self, call: Coroutine[Any, Any, _T]) -> Generator[Any, Any, _T]:
        """The result of a call, or of a part of one, that has to be in time.

        Raises:
            TimeoutError: It is not.
        """
        if self._timer.cancelled() and not self._missed:  # by the part before this one
            self._timer = asyncio.get_running_loop().call_at(self._timer.when(), self.end)
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
            self._timer.cancel()
