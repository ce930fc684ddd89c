"""What goes wrong with a chat besides the chat itself, in the form that OpenAI's clients read."""

from __future__ import annotations

from datetime import UTC, datetime

import httpcore
import orjson

from router_memory.errors import NotAuthenticated, RouterMemoryError
from router_memory.interfaces.http.errors import ApiError, response_for

__all__ = ["FAILURES", "UpstreamFailed", "answer_of", "failure_of"]

FAILURES = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException)
"""What a connection can raise."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    503: "service_unavailable_error",
}


class UpstreamFailed(Exception):
    """The upstream gave no answer that could be passed on.

    Args:
        status: For the client: 502, 503 or 504.
        code: For programs.
        message: One sentence for people.
        outcome: Label of the metric.
    """

    def __init__(self, status: int, code: str, message: str, *, outcome: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.outcome = outcome


def failure_of(error: Exception) -> UpstreamFailed:
    """What an error of the connection means to the client."""
    if isinstance(error, httpcore.PoolTimeout):
        message = "all connections to the upstream are in use"
        return UpstreamFailed(503, "UPSTREAM_BUSY", message, outcome="busy")
    if isinstance(error, httpcore.TimeoutException):
        return UpstreamFailed(504, "UPSTREAM_TIMEOUT", "the upstream did not answer in time", outcome="timeout")
    if isinstance(error, httpcore.ConnectError):
        return UpstreamFailed(502, "UPSTREAM_UNREACHABLE", "the upstream cannot be reached", outcome="unreachable")
    message = "the upstream broke the connection before it answered"
    return UpstreamFailed(502, "UPSTREAM_BROKEN", message, outcome="disconnected")


def answer_of(error: ApiError | RouterMemoryError | UpstreamFailed) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of the answer: that of every other route, with what OpenAI's clients look for."""
    if isinstance(error, UpstreamFailed):
        status, code, message, headers = error.status, error.code, error.message, []
    elif isinstance(error, ApiError):
        status, code, message = error.status, error.code, error.message
        headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    else:
        response = response_for(error)
        said = orjson.loads(response.body)["error"]
        status, code, message = response.status_code, said["code"], said["message"]
        kept = (b"www-authenticate", b"retry-after")
        headers = [pair for pair in response.raw_headers if pair[0] in kept]
        if isinstance(error, NotAuthenticated) and not headers:
            headers = [(b"www-authenticate", b"Bearer")]
    body = orjson.dumps(
        {
            "error": {
                "message": message,
                "type": _TYPES.get(status, "upstream_error" if status >= 500 else "invalid_request_error"),
                "param": None,
                "code": code,
                "timestamp": datetime.now(UTC).isoformat(),
            }
        }
    )
    sized = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    return status, sized, body
