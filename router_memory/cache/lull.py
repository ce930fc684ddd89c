"""When nothing is to be done for a request: the moment for work that nobody waits for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic

__all__ = ["Lull"]

_AFTER_SECONDS = 0.005
"""How long nobody has come before it counts: a request is answered behind its end, and the next may come at once."""
_BEFORE_SECONDS = 0.05
"""Work begins by then, whatever else is to be done."""


class Lull:
    """Counts the requests under way, and has work wait until there are none, but not for long."""

    __slots__ = ("_idle", "_over", "_requests")

    def __init__(self) -> None:
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._over = False

    def came(self) -> None:
        """Takes note of a request."""
        self._requests += 1
        self._idle.clear()

    def left(self) -> None:
        """Takes note of its end."""
        self._requests -= 1
        if not self._requests:
            self._idle.set()

    def end(self) -> None:
        """Has nothing wait for the requests under way any more."""
        self._over = True
        self._idle.set()

    async def comes(self) -> None:
        """Waits for a moment in which no request is under way."""
        until = monotonic() + _BEFORE_SECONDS
        await asyncio.sleep(_AFTER_SECONDS)
        while self._requests and not self._over and (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._idle.wait()
                    await asyncio.sleep(_AFTER_SECONDS)
