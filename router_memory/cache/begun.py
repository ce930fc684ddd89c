"""Work that is begun before it is awaited, without a task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

__all__ = ["Begun"]

_T = TypeVar("_T")


class Begun(Generic[_T]):
    """Runs a coroutine up to where it waits for something, and the rest when it is awaited.

    So two servers are asked at the same time for a fraction of what two tasks cost. The coroutine goes on in the task
    that awaits it, which should be the one that began it: whatever cancels the current task after a while, as
    `asyncio.timeout` does, may strike while that waits for something else. Either await it or close it.

    Args:
        work: What is done.
    """

    __slots__ = ("_error", "_result", "_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, _T]) -> None:
        self._work: Coroutine[Any, Any, _T] | None = work
        self._waits_for: Any = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._go_on(None)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._work is None

    def __await__(self) -> Generator[Any, Any, _T]:
        while self._work is not None:
            try:
                yield self._waits_for
            except GeneratorExit:
                self.close()
                raise
            except BaseException as error:  # noqa: BLE001 - it is the work's, which gives or raises something else
                self._go_on(error)
            else:
                self._go_on(None)
        if self._error is not None:
            raise self._error
        result: _T = self._result
        return result

    def close(self) -> None:
        """Ends it where it is, unless it has ended. An error that nobody waited for is no complaint."""
        if self._work is None:
            return
        work, self._work = self._work, None
        self._error = asyncio.CancelledError()
        if isinstance(self._waits_for, asyncio.Future) and not self._waits_for.cancel():
            _seen(self._waits_for)
        work.close()

    def _go_on(self, error: BaseException | None) -> None:
        """Runs it up to where it waits again."""
        work = self._work
        if work is None:
            return
        try:
            self._waits_for = work.send(None) if error is None else work.throw(error)
        except StopIteration as ended:
            self._work, self._result = None, ended.value
        except BaseException as raised:  # noqa: BLE001 - raised again where it is awaited
            self._work, self._error = None, raised


def _seen(future: asyncio.Future[Any]) -> None:
    """Takes note of an error nobody waits for any more."""
    if not future.cancelled():
        future.exception()
