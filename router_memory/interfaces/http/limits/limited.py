"""The outermost layer of the application: who may come in, and what is noted of it."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING

from router_memory.errors import NotAuthenticated
from router_memory.interfaces.http.context import caller_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.limits.buckets import Buckets, Seats, key_of
from router_memory.interfaces.http.limits.exchange import Exchange, too_large
from router_memory.telemetry.routes import route_template

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from router_memory.config.service import LimitsSection
    from router_memory.service import Service

__all__ = ["ALWAYS", "STREAMED", "Limited", "limited"]

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that are answered however much is going on: who looks after the service must see that."""

STREAMED = frozenset({("POST", "/v1/memory/import")})
"""Routes that take a body of any length, for they keep no more than a line of it; its pace is limited all the same."""

_MIB = 1024 * 1024
_DIGITS = 18
_CLIENT_LEFT = 499
_NO_RESPONSE = 500


def limited(app: ASGIApp, service: Service) -> Limited:
    """The application with the limits of the service's configuration around it, and each request noted."""
    return Limited(app, service)


class Limited:
    """Lets requests in to an application, or answers them itself.

    Args:
        app: The application.
        service: Whose configuration says what is too much; a reload takes effect with the next request.

    Attributes:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self._under_way: dict[Exchange, None] = {}
        """Those let in, in the order they came."""
        self._service = service
        self._buckets = Buckets()
        self._seats = Seats()

    @property
    def running(self) -> int:
        """How many requests it works on."""
        return len(self._under_way)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":  # there is no other kind here but the lifespan of whoever embeds the application
            await self.app(scope, receive, send)
            return
        limits = self._service.config.memory.service.limits
        visit = self._service.telemetry.begin(method=scope["method"], headers=scope["headers"])
        streamed = (scope["method"], scope["path"]) in STREAMED
        exchange = Exchange(
            receive,
            send,
            request_id=visit.request_id.encode(),
            most_bytes=None if streamed else limits.body_mb * _MIB,
            read_seconds=limits.read_seconds,
        )
        try:
            await self._let_in(scope, exchange, limits)
        finally:
            status = exchange.status or (_CLIENT_LEFT if exchange.disconnected else _NO_RESPONSE)
            visit.end(route=route_template(scope), status=status)

    async def _let_in(self, scope: Scope, exchange: Exchange, limits: LimitsSection) -> None:
        if exchange.most_bytes is not None and _announced_bytes(scope) > exchange.most_bytes:
            await exchange.refuse(too_large(exchange.most_bytes))
            return
        if scope["path"] in ALWAYS:
            await self._pass_on(scope, exchange)
            return
        if not self._has_room(limits.concurrency):
            await exchange.refuse(_busy(503, "OVERLOADED", "the service has as many requests as it takes at a time"))
            return
        user = self._user(scope)
        refusal = None if user is None else self._seat(user, limits)
        if refusal is not None:
            await exchange.refuse(refusal)
            return
        self._under_way[exchange] = None
        try:
            await self._pass_on(scope, exchange)
        finally:
            del self._under_way[exchange]
            if user is not None:
                self._seats.leave(user)

    async def _pass_on(self, scope: Scope, exchange: Exchange) -> None:
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            if not exchange.refused:
                raise
        if exchange.refused:
            await exchange.refuse()

    def _has_room(self, most: int) -> bool:
        """Whether one more may come in: where all places are taken, for one whose body is long in coming."""
        if len(self._under_way) < most:
            return True
        slow = next((each for each in self._under_way if each.dawdles()), None)
        if slow is None:
            return False
        slow.hurry()
        return True

    def _user(self, scope: Scope) -> bytes | None:
        """The key of the verified user; ``None`` without one, of whom only the service as a whole has a limit."""
        if not self._service.opened:
            return None
        try:
            user = caller_of(scope, self._service.generation).user_id
        except NotAuthenticated:
            return None  # the route says so
        return None if user is None else key_of(user)

    def _seat(self, user: bytes, limits: LimitsSection) -> ApiError | None:
        """Takes a seat for a request of the user, or says why there is none."""
        if limits.requests_per_second:
            rate, burst = limits.requests_per_second, limits.burst
            wait = self._buckets.take(user, monotonic(), rate=rate, burst=burst)
            if wait:
                return _busy(429, "TOO_MANY_REQUESTS", "this user asks more often than is allowed", wait)
        if not self._seats.take(user, limits.per_user_concurrency):
            return _busy(429, "TOO_MANY_REQUESTS", "this user has as many requests under way as are allowed")
        return None


def _announced_bytes(scope: Scope) -> int:
    """What the request says of the size of its body; 0 where it says nothing, or nothing of use."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) <= _DIGITS else 0
    return 0


def _busy(status: int, code: str, message: str, seconds: float = 1.0) -> ApiError:
    return ApiError(status, code, message, headers={"retry-after": str(max(math.ceil(seconds), 1))})
