"""When nothing is to be done for a request: the moment for work that nobody waits for."""

from __future__ import annotations

import asyncio
from time import monotonic

__all__ = ["Lull"]

_AFTER_SECONDS = 0.005
"""How long nobody has come before it counts: a request is answered behind its end, and the next may come at once."""
_BEFORE_SECONDS = 0.05
"""Work begins by then, whatever else is to be done."""


class Lull:
    """Counts the requests under way, and has work wait until there are none, but not for long.

    However much waits, one timer looks whether the moment has come: what is not to hold requests up must not do so by
    waiting either.
    """

    __slots__ = ("_over", "_quiet_since", "_requests", "_timer", "_waiting")

    def __init__(self) -> None:
        self._requests = 0
        self._quiet_since = 0.0
        self._waiting: list[tuple[float, asyncio.Future[None]]] = []  # with the moment each begins by, ascending
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def came(self) -> None:
        """Takes note of a request."""
        self._requests += 1

    def left(self) -> None:
        """Takes note of its end."""
        self._requests -= 1
        if not self._requests:
            self._quiet_since = monotonic()

    def end(self) -> None:
        """Has nothing wait for the requests under way any more."""
        self._over = True
        self._begin(len(self._waiting))

    async def comes(self) -> None:
        """Waits for a moment in which no request is under way."""
        if self._over:
            return
        loop = asyncio.get_running_loop()
        moment = loop.create_future()
        self._waiting.append((monotonic() + _BEFORE_SECONDS, moment))
        if self._timer is None:
            self._timer = loop.call_later(_AFTER_SECONDS, self._look)
        await moment

    def _look(self) -> None:
        """Has the next begin in such a moment, or when it has waited long enough; those behind it after it.

        Not at once, for then whoever comes meanwhile would be held up until the last of them lets go of the loop.
        """
        self._timer = None
        now = monotonic()
        quiet = not self._requests and now - self._quiet_since >= _AFTER_SECONDS
        begins = quiet or (bool(self._waiting) and self._waiting[0][0] <= now)
        if begins:
            self._begin(1)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(0.0 if begins else _AFTER_SECONDS, self._look)

    def _begin(self, count: int) -> None:
        """Has so many begin, those first that have waited longest."""
        begun, self._waiting = self._waiting[:count], self._waiting[count:]
        for _, moment in begun:
            if not moment.done():  # one that was cancelled waits no longer
                moment.set_result(None)
