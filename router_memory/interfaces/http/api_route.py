"""What every route of the documented APIs has in common: codes of wrong input, the schema of errors, credentials."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson
from fastapi import Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from router_memory.errors import InvalidRequest
from router_memory.interfaces.http.context import require_scope, service_of
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.wording import problem_of
from router_memory.service.breadth import is_too_broad

__all__ = ["CREDENTIALS", "NO_STORE", "ApiRoute", "ErrorBody", "failures", "json_response"]

NO_STORE = {"cache-control": "no-store"}

CREDENTIALS = [
    Security(
        APIKeyHeader(
            name="x-authz-user-id",
            scheme_name="user_header",
            description="The user, set by the gateway in front (mode `header`; the name is `identity.user_header`). "
            "With an admin credential, or an API key of several users, it says whose request this is.",
            auto_error=False,
        )
    ),
    Security(
        HTTPBearer(
            scheme_name="bearer",
            description="A JWT (mode `jwt`), an API key (mode `api_key`) or the admin key.",
            auto_error=False,
        )
    ),
    Security(
        APIKeyHeader(
            name="x-api-key",
            scheme_name="api_key",
            description="An API key (mode `api_key`) or the admin key.",
            auto_error=False,
        )
    ),
]
"""The ways to say who is asking, for the description; who it is, `context` finds out."""

_CODES: Mapping[str, str] = {
    "cursor": "INVALID_CURSOR",
    "id": "INVALID_ID",
    "limit": "INVALID_LIMIT",
    "project": "INVALID_PROJECT",
    "ticket": "INVALID_TICKET",
    "type": "INVALID_TYPE",
    "types": "INVALID_TYPE",
    "user_id": "INVALID_USER_ID",
}
"""The code of a wrong value by the name of its field; of the other fields INVALID_REQUEST."""

_JSON = "application/json"
_NOT_MODIFIED = 304
_UNKNOWN = "extra_forbidden"


class ErrorDetail(BaseModel):
    """What went wrong."""

    model_config = ConfigDict(extra="forbid")

    code: str
    message: str
    timestamp: str


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "error": {
                    "code": "NOT_FOUND",
                    "message": "there is no such memory",
                    "timestamp": "2026-03-01T12:00:00+00:00",
                }
            }
        },
    )

    error: ErrorDetail


_DESCRIPTIONS: Mapping[int, str] = {
    304: "It has not changed.",
    400: "The request is wrong; `code` says in what, and nothing was changed.",
    401: "`MISSING_USER_ID`: nobody is named. `NOT_AUTHENTICATED`: the credential is not good.",
    403: "`NOT_PERMITTED`: the credential is not for this.",
    404: "`NOT_FOUND`: the user has no such memory, whether others have or not.",
    412: "`PRECONDITION_FAILED`: the memory is not the one that If-Match names any more.",
    413: "`BODY_TOO_LARGE`: past `service.limits.body_mb`.",
    415: "`UNSUPPORTED_MEDIA_TYPE`: the body is not said to be JSON.",
    503: "`MEMORY_NOT_AVAILABLE`: the store or the model cannot be used now.",
    504: "`MEMORY_TIMEOUT`: the store did not answer in time. Whether a write took effect is unknown; repeat it.",
}


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation that are errors, for its description: these, and those that any one may have."""
    described: dict[int | str, dict[str, Any]] = {
        status: {"description": _DESCRIPTIONS[status], **({} if status == _NOT_MODIFIED else {"model": ErrorBody})}
        for status in sorted({*statuses, 401, 503, 504})
    }
    described["default"] = {"model": ErrorBody, "description": "Any other error, such as a limit that was reached."}
    return described


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that no cache keeps; times of UTC end in ``Z``."""
    body = orjson.dumps(value, option=orjson.OPT_UTC_Z)
    return Response(body, status, headers={**NO_STORE, **(headers or {})}, media_type=_JSON)


class ApiRoute(APIRoute):
    """A route whose wrong input is answered with the code of the field that is wrong; a JSON body needs a user."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
        handle = super().get_route_handler()
        takes_json = self.body_field is not None

        async def coded(request: Request) -> Response:
            if takes_json:
                _check_before_reading(request)
                await _check_before_parsing(request)
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise _wrong_body(error) from None
            except InvalidRequest as error:
                raise ApiError(400, _CODES.get(error.field, "INVALID_REQUEST"), str(error)) from None

        return coded


def _check_before_reading(request: Request) -> None:
    """Refuses a body of nobody, and one that is not said to be JSON, before it is read."""
    with service_of(request.scope).lease() as generation:
        require_scope(request.scope, generation)
    if not _says_json(request.headers.get("content-type", "")):
        raise ApiError(415, "UNSUPPORTED_MEDIA_TYPE", f"the body must be sent as {_JSON}")


async def _check_before_parsing(request: Request) -> None:
    """Refuses a body of so many values that reading them would keep everybody waiting."""
    try:
        body = await request.body()  # which the request keeps
    except ClientDisconnect:
        raise ApiError(400, "CLIENT_DISCONNECTED", "the body broke off") from None
    if is_too_broad(body):
        raise ApiError(400, "INVALID_REQUEST", "the body has too many values, or is not JSON in UTF-8")


def _says_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == _JSON or (kind.startswith("application/") and kind.endswith("+json"))


def _wrong_body(error: RequestValidationError) -> ApiError:
    problem = error.errors()[0]
    kind, where = problem["type"], problem["loc"][1:]
    if kind == "json_invalid":
        return ApiError(400, "INVALID_REQUEST", f"the body is not JSON: {problem.get('ctx', {}).get('error', '')}")
    field = next((part for part in reversed(where) if isinstance(part, str)), "")
    code = "INVALID_REQUEST" if kind == _UNKNOWN else _CODES.get(field, "INVALID_REQUEST")
    return ApiError(400, code, problem_of(problem, where))
