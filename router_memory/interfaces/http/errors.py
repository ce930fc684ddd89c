"""Errors as HTTP answers, in the form ``{"error": {"code", "message", "timestamp"}}``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from router_memory.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    EmbeddingError,
    IndexMismatch,
    InvalidRequest,
    NotAuthenticated,
    NotPermitted,
    RouterMemoryError,
)
from router_memory.interfaces.http.wording import problem_of

__all__ = ["ApiError", "error_response", "install", "response_for"]

_log = logging.getLogger("router_memory.http")

RETRY_SECONDS = 1
"""What a client is told to wait when the store is away; ours is back within a second of the store."""

_OF_STATUS: Mapping[int, str] = {
    400: "INVALID_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "BODY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
}


class ApiError(Exception):
    """An answer that is an error, raised where it is known.

    Args:
        status: HTTP status.
        code: For programs, upper case.
        message: One sentence for people, without user content.
        headers: To send along.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer an error is."""
    body = {"error": {"code": code, "message": message, "timestamp": datetime.now(UTC).isoformat()}}
    return Response(orjson.dumps(body), status, headers=headers, media_type="application/json")


def response_for(error: Exception) -> Response:
    """The answer for any error; one nobody expected is logged and says nothing of itself."""
    if isinstance(error, ApiError):
        return error_response(error.status, error.code, error.message, error.headers)
    if isinstance(error, RouterMemoryError):
        return _of_ours(error)
    if isinstance(error, RequestValidationError):
        return error_response(400, "INVALID_REQUEST", _first_problem(error))
    if isinstance(error, HTTPException):
        code = _OF_STATUS.get(error.status_code, "HTTP_ERROR")
        return error_response(error.status_code, code, str(error.detail), error.headers)
    _log.error("a request failed", exc_info=error)
    return error_response(500, "INTERNAL_ERROR", "something went wrong here; the log of the service says what")


def install(app: FastAPI) -> None:
    """Makes every error of the application's routes such an answer."""

    async def answer(_request: Request, error: Exception) -> Response:
        return response_for(error)

    for kind in (ApiError, RouterMemoryError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _of_ours(error: RouterMemoryError) -> Response:
    if isinstance(error, NotAuthenticated):
        return error_response(401, "NOT_AUTHENTICATED", str(error), {"www-authenticate": "Bearer"})
    if isinstance(error, NotPermitted):
        return error_response(403, "NOT_PERMITTED", str(error))
    if isinstance(error, InvalidRequest):
        return error_response(400, "INVALID_REQUEST", str(error))
    if isinstance(error, ConfigError):
        return error_response(422, "INVALID_CONFIGURATION", str(error))
    if isinstance(error, BackendTimeout):
        message = "the store did not answer in time; whether a write took effect is unknown, and it may be repeated"
        return error_response(504, "MEMORY_TIMEOUT", message, {"retry-after": str(RETRY_SECONDS)})
    if isinstance(error, BackendUnavailable):
        return error_response(
            503, "MEMORY_NOT_AVAILABLE", "memory is not available", {"retry-after": str(RETRY_SECONDS)}
        )
    if isinstance(error, IndexMismatch | BackendError | EmbeddingError):
        _log.warning("memory refused a request: %s", error)
        return error_response(503, "MEMORY_NOT_AVAILABLE", "memory is not available until an operator acts")
    _log.error("a request failed", exc_info=error)
    return error_response(500, "INTERNAL_ERROR", "something went wrong here; the log of the service says what")


def _first_problem(error: RequestValidationError) -> str:
    found = error.errors()[0]
    return problem_of(found, found["loc"][1:])
