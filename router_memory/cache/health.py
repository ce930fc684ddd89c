"""How the server of level 2 is doing: whether requests may ask it, and what is said when something goes wrong."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from router_memory.cache.breaker import Breaker
from router_memory.cache.keys import vector_key
from router_memory.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from router_memory.cache.meters import Meters
    from router_memory.protocols import HotCache

__all__ = ["Health"]

_log = logging.getLogger("router_memory.cache")

_COMPLAINT_SECONDS = 60.0
_NOBODY = "0" * 32


class Health:
    """Learns from every answer and every failure of a server.

    Args:
        server: The server.
        meters: Counts failures.
    """

    __slots__ = ("_breaker", "_complained", "_failed_last", "_meters", "_server")

    def __init__(self, server: HotCache, *, meters: Meters) -> None:
        self._server = server
        self._meters = meters
        self._breaker = Breaker()
        self._complained: dict[str, float] = {}
        self._failed_last = _NOBODY, vector_key("", "")

    @property
    def good(self) -> bool:
        """Whether the server may be asked on the path of a request."""
        return self._breaker.closed

    def is_due(self) -> bool:
        """Whether a server that is left aside should be probed; true once in a while."""
        return self._breaker.is_due()

    async def probe(self, within: float) -> None:
        """Asks what failed last: another key may be on another node, or small enough to come in time.

        Args:
            within: Seconds.
        """
        try:
            await self._server.get(*self._failed_last, within=within)
        except BackendError as error:
            self.failed("probe", error)
        else:
            self.answered()

    def answered(self) -> None:
        """Takes note of an answer."""
        if self._breaker.succeeded():
            self.complain("closed", "%s: the shared cache answers again", self._server.location)

    def failed(self, what: str, error: BackendError, *, asked: tuple[str, bytes] | None = None) -> None:
        """Counts a failure. One of the connection counts against the server; a refusal concerns one key or right.

        Args:
            what: Was tried.
            error: How it ended.
            asked: The user and the key that were asked for, where a probe may ask for them again.
        """
        if asked is not None:
            self._failed_last = asked
        self._meters.count(f"{what}.failed")
        if isinstance(error, BackendUnavailable):
            if self._breaker.failed():
                self.complain("open", "the shared cache is left aside until it answers: %s", error)
        else:
            self.answered()
            self.complain(what, "the shared cache refuses a %s: %s", what, error)

    def complain(self, kind: str, message: str, *arguments: object) -> None:
        """Logs, but one kind of thing once a minute at most."""
        now = monotonic()
        if now >= self._complained.get(kind, 0.0):
            self._complained[kind] = now + _COMPLAINT_SECONDS
            _log.warning(message, *arguments)
