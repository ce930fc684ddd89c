"""One HTTP request on its way, known to everything that runs for it: the id for the logs, the span, what memory did."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["REQUEST_ID_HEADER", "Visit", "current_visit", "request_id", "sane_request_id"]

REQUEST_ID_HEADER = b"x-request-id"

_SANE_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:-]{3,63}")
"""An id that a client gave is taken over where it can harm neither a log nor a header."""

_current: ContextVar[Visit | None] = ContextVar("router_memory_visit", default=None)


@dataclass(slots=True, eq=False)
class Visit:
    """A request from its first byte to its last; made by `Telemetry.begin`.

    Attributes:
        request_id: For logs and the response header.
        method: Of the request.
        began: On the clock of `time.perf_counter`.
        status, reason: What memory did; empty where it had no part in it.
        span: Of the request; ``None`` where it is not traced.
    """

    request_id: str
    method: str
    began: float
    status: str = ""
    reason: str = ""
    span: Span | None = None
    _ended: Callable[[Visit, str, int], None] | None = None
    _token: Token[Visit | None] | None = field(default=None, repr=False)

    def end(self, *, route: str, status: int) -> None:
        """Counts the request, writes its access line and ends its span; the first call counts.

        Args:
            route: The template of the path, such as ``/v1/memory/{id}``; empty for a path that no route has.
            status: Of the answer; 499 where the client left before it, 500 where none was given.
        """
        ended, self._ended = self._ended, None
        if ended is None:
            return
        try:
            ended(self, route, status)
        finally:
            if self._token is not None:
                with suppress(ValueError):  # ended in another task than it began in
                    _current.reset(self._token)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began


def enter(visit: Visit, ended: Callable[[Visit, str, int], None]) -> Visit:
    """Makes a visit the current one of this task and of those it starts."""
    visit._ended = ended  # noqa: SLF001 - both are this module's
    visit._token = _current.set(visit)  # noqa: SLF001
    return visit


def current_visit() -> Visit | None:
    """The request that the running code works for, if any."""
    return _current.get()


def request_id() -> str:
    """Its id; empty outside of a request."""
    visit = _current.get()
    return "" if visit is None else visit.request_id


def sane_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The id that the client gave, where it gave one that is fit to be used, else a new one."""
    for name, value in headers:
        if name.lower() == REQUEST_ID_HEADER and _SANE_ID.fullmatch(value):
            return value.decode("ascii")
    return secrets.token_hex(8)
