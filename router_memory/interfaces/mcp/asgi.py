"""Memory over streamable HTTP, as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from router_memory.errors import BackendUnavailable, InvalidRequest, NotAuthenticated
from router_memory.identity import ForeignPage, who_is_wanted
from router_memory.interfaces.mcp.handlers import handlers_of
from router_memory.interfaces.mcp.sdk import answer_http
from router_memory.interfaces.mcp.session import Session
from router_memory.service.asking import refusal_code, scope_of
from router_memory.service.breadth import is_too_broad
from router_memory.types import Scope

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as RequestScope

    from router_memory.memory import MemoryPlugin
    from router_memory.service import Generation, Service

__all__ = ["mcp_app"]

_MIB = 1024 * 1024


def mcp_app(service: Service) -> ASGIApp:
    """Serves the memories of whoever asks.

    Each request stands for itself: it says who is asking, it is answered by a server of its own, and it leaves
    nothing behind. So it needs no lifespan, and any worker answers any request.

    Args:
        service: What it serves; open it before the first request.
    """
    return _App(service)


class _Refusal(Exception):
    """An answer before the protocol begins.

    Args:
        status: HTTP status.
        code: For programs.
        message: One sentence for people, without user content.
        headers: To send along.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class _App:
    """The application: a class, so that a route hands it every method and the request as it came."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: RequestScope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            if scope["method"] != "POST":  # there are no sessions to listen to or to end
                raise _Refusal(405, "METHOD_NOT_ALLOWED", "this server answers POST only", {"allow": "POST"})
            with self._service.lease() as generation:
                session = Session(
                    scope=_scope(scope, generation),
                    memory=_opened(generation.memory),
                    telemetry=self._service.telemetry,
                )
                most = generation.config.memory.service.limits.body_mb * _MIB
                body = await _body(receive, most)
                if body is not None:
                    await answer_http(handlers_of(session), scope, _again(body, receive), send, max_bytes=most)
        except _Refusal as refusal:
            await _refuse(refusal, send)
        except BackendUnavailable:  # the service is not open, or not any more
            await _refuse(_Refusal(503, "MEMORY_NOT_AVAILABLE", "memory is not available", {"retry-after": "1"}), send)


async def _body(receive: Receive, most: int) -> bytes | None:
    """The request's body, looked at before objects are made of it; ``None`` if the client left before its end.

    Raises:
        _Refusal: It is too large, or has so many values that reading them would keep everybody waiting.
    """
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > most:
            raise _Refusal(413, "BODY_TOO_LARGE", f"the body of a request may have {most // _MIB:,} MiB")
        parts.append(part)
    body = b"".join(parts)
    if is_too_broad(body):
        raise _Refusal(400, "INVALID_REQUEST", "the body has too many values, or is not JSON in UTF-8")
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes behind it."""
    waiting = [body]

    async def give() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return give


def _opened(memory: MemoryPlugin) -> Callable[[], Awaitable[MemoryPlugin]]:
    async def give() -> MemoryPlugin:
        return memory

    return give


def _scope(scope: RequestScope, generation: Generation) -> Scope:
    """Whose memories the request is about.

    Raises:
        _Refusal: It names nobody, or not properly, or may come from a page that has no business here.
    """
    client = scope.get("client")
    try:
        caller = generation.authenticator.identify(
            scope["headers"], peer=client[0] if client else None, query=scope.get("query_string", b"")
        )
    except ForeignPage as error:  # the protocol wants this status for an Origin that has no business here
        raise _Refusal(403, "NOT_PERMITTED", error.message) from None
    except NotAuthenticated as error:
        raise _Refusal(401, "NOT_AUTHENTICATED", error.message, {"www-authenticate": "Bearer"}) from None
    if caller.user_id is None:
        message = who_is_wanted(generation.config, caller)
        raise _Refusal(401, "MISSING_USER_ID", message, {"www-authenticate": "Bearer"})
    try:
        return scope_of(caller.user_id, scope["headers"], generation.config)
    except InvalidRequest as error:
        raise _Refusal(400, refusal_code(error), str(error)) from None


async def _refuse(refusal: _Refusal, send: Send) -> None:
    error = {"code": refusal.code, "message": refusal.message, "timestamp": datetime.now(UTC).isoformat()}
    body = orjson.dumps({"error": error})
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
