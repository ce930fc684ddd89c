"""Forgetting in level 2: a user's entries leave the server, at once or as soon as it can be asked."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from router_memory.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from router_memory.cache.health import Health
    from router_memory.cache.meters import Meters
    from router_memory.protocols import HotCache

__all__ = ["PURGE_NOW_SECONDS", "Purges"]

PURGE_NOW_SECONDS = 1.0
"""How long an operator waits for one user's entries to be taken away."""

_log = logging.getLogger("router_memory.cache")

_BACKGROUND_SECONDS = 1.0
"""How long the server may take for one user in the background, and in the end for all of them together."""
_PURGE_AGAIN_SECONDS = 1.0
_MOST_UNPURGED = 100_000


class Purges:
    """Takes users' entries away from a server, and remembers whose it could not.

    Args:
        server: The server.
        ttl: How long answers live, in seconds; after it nothing is left to be taken away.
        health: Of the server.
        meters: Counts what happens.
    """

    __slots__ = ("_closed", "_health", "_meters", "_purging", "_server", "_ttl", "_unpurged")

    def __init__(self, server: HotCache, *, ttl: float, health: Health, meters: Meters) -> None:
        self._server = server
        self._ttl = ttl
        self._health = health
        self._meters = meters
        self._unpurged: dict[str, float] = {}  # since when, by user
        self._purging: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def under_way(self) -> tuple[asyncio.Task[None], ...]:
        """The task in the background, if there was any."""
        return () if self._purging is None else (self._purging,)

    async def purge(self, user: str, *, within: float) -> None:
        """Takes away everything of a user, or has it tried again in the background.

        Args:
            user: The user's digest.
            within: Seconds.
        """
        if self._health.good:
            try:
                await self._purge(user, within)
            except BackendError as error:
                self._health.failed("purge", error)
            else:
                return
        else:
            self._meters.count("purge.failed")
        if user in self._unpurged or len(self._unpurged) < _MOST_UNPURGED:
            self._unpurged[user] = monotonic()
        if not self._closed and (self._purging is None or self._purging.done()):
            self._purging = asyncio.create_task(self._purge_again(), name="router-memory-cache-purge")

    async def purge_now(self, user: str) -> None:
        """The same for operators, who want to know.

        Args:
            user: The user's digest.

        Raises:
            BackendError: The server did not do it.
        """
        await self._purge(user, PURGE_NOW_SECONDS)

    def open(self) -> None:
        """Has what fails tried again in the background, as it is from the first."""
        self._closed = False

    def end(self) -> None:
        """Begins nothing in the background any more. What is under way is left to the caller."""
        self._closed = True

    async def close(self) -> None:
        """Tries once more what waits, for a second at most, and says what is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_BACKGROUND_SECONDS):
                await self._purge_pending()
        if self._unpurged:
            _log.warning(
                "%s: entries of %d users could not be taken away; they end with their time to live",
                self._server.location,
                len(self._unpurged),
            )

    async def _purge(self, user: str, within: float) -> None:
        """Purges a user, and strikes out what was noted before it began; later notes are about later writes."""
        began = monotonic()
        await self._server.purge(user, within=within)
        self._health.answered()
        if self._unpurged.get(user, math.inf) <= began:
            del self._unpurged[user]
        self._meters.count("purge")

    async def _purge_again(self) -> None:
        while self._unpurged:
            await asyncio.sleep(_PURGE_AGAIN_SECONDS)
            await self._purge_pending()

    async def _purge_pending(self) -> None:
        """Tries those that wait, up to the first for which there is no server."""
        for user in tuple(self._unpurged):
            since = self._unpurged.get(user)  # maybe noted anew, or struck out, while others were tried
            if since is None:
                continue
            if monotonic() > since + self._ttl:
                del self._unpurged[user]
                continue
            try:
                await self._purge(user, _BACKGROUND_SECONDS)
            except BackendError as error:
                self._health.complain("purge", "%s: not purged yet: %s", self._server.location, error)
                if isinstance(error, BackendUnavailable):
                    return
