"""What a request of the memory API says outside of its body: query parameters, the id, the project."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from starlette.requests import Request

from router_memory.errors import InvalidRequest
from router_memory.interfaces.http.context import require_scope
from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.memory.models import DEFAULT_LIMIT, MAX_LIMIT
from router_memory.service import Generation
from router_memory.storage.checks import check_plain_text
from router_memory.types import MemoryType, Scope, check_id

__all__ = [
    "CURSOR",
    "EVERYONE",
    "IF_MATCH",
    "IF_NONE_MATCH",
    "LIMIT",
    "PROJECT",
    "PROJECT_HEADER",
    "TYPE",
    "documented",
    "flag",
    "id_of",
    "limit_of",
    "query_of",
    "scope_of",
    "types_of",
]

_DIGITS = re.compile(r"[0-9]{1,18}")
_USER = "user_id"
_DEVELOPMENT = "development"
_TYPES = [member.value for member in MemoryType]

LIMIT: dict[str, Any] = {
    "name": "limit",
    "in": "query",
    "description": f"Most memories of a page; more than {MAX_LIMIT} counts as {MAX_LIMIT}.",
    "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
}
TYPE: dict[str, Any] = {
    "name": "type",
    "in": "query",
    "description": "Only memories of these types, separated by commas.",
    "style": "form",
    "explode": False,
    "schema": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": _TYPES}},
    "example": ["semantic", "episodic"],
}
CURSOR: dict[str, Any] = {
    "name": "cursor",
    "in": "query",
    "description": "The `cursor` of the page before. It is good for the user and the project it was given to.",
    "schema": {"type": "string"},
}
PROJECT: dict[str, Any] = {
    "name": "project",
    "in": "query",
    "description": "Only memories of this project; the project header says the same.",
    "schema": {"type": "string", "minLength": 1},
}
PROJECT_HEADER: dict[str, Any] = {
    "name": "x-project-id",
    "in": "header",
    "description": "The project; the name of the header is `service.project_header`.",
    "schema": {"type": "string"},
}
EVERYONE: dict[str, Any] = {
    "name": "all",
    "in": "query",
    "description": "The memories of all users; for an admin credential.",
    "schema": {"type": "boolean", "default": False},
}
IF_MATCH: dict[str, Any] = {
    "name": "if-match",
    "in": "header",
    "description": "The ETag of the state that may be changed; of another state nothing is changed: 412.",
    "schema": {"type": "string"},
}
IF_NONE_MATCH: dict[str, Any] = {
    "name": "if-none-match",
    "in": "header",
    "description": "The ETag of the state that is known; of that state nothing is sent: 304.",
    "schema": {"type": "string"},
}


def documented(*parameters: dict[str, Any]) -> dict[str, Any]:
    """What a route's description says of its parameters, all of them optional; the routes read them themselves."""
    return {"parameters": [{**parameter, "required": False} for parameter in parameters]}


def query_of(request: Request, generation: Generation, *known: str) -> dict[str, str]:
    """The query parameters by name; ``type`` may stand there more than once, its values are joined by commas.

    Raises:
        ApiError: 400 for a name nobody knows: left out in silence, a mistyped filter would delete everything.
    """
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name == _USER and _DEVELOPMENT in generation.config.memory.service.auth.modes:
            continue
        if name == _USER:
            raise ApiError(400, "INVALID_REQUEST", "user_id names a user in development mode only")
        if name not in known:
            hint = f"valid: {', '.join(known)}" if known else "there are none here"
            raise ApiError(400, "INVALID_REQUEST", f"there is no parameter {name[:40]!r} ({hint})")
        if name in found and name != "type":
            raise ApiError(400, "INVALID_REQUEST", f"{name} stands there twice")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def types_of(query: dict[str, str], *, must_say: bool = False) -> tuple[MemoryType, ...]:
    """The types that ``type`` names; none for all.

    Args:
        query: See `query_of`.
        must_say: Whether ``type`` without a value is a mistake, and not the same as none.

    Raises:
        ApiError: 400 for a type that there is not.
    """
    names = [name.strip() for name in query.get("type", "").split(",")]
    if must_say and "type" in query and not all(names):
        raise ApiError(400, "INVALID_TYPE", "type is there without a value; leave it out for all types")
    try:
        return tuple(dict.fromkeys(MemoryType(name) for name in names if name))
    except ValueError:
        raise ApiError(400, "INVALID_TYPE", f"type must be one of {', '.join(_TYPES)}") from None


def limit_of(query: dict[str, str]) -> int:
    """The size of a page, at most `MAX_LIMIT`.

    Raises:
        ApiError: 400 for anything but a whole number from 1 up.
    """
    text = query.get("limit", "")
    if not text:
        return DEFAULT_LIMIT
    if not _DIGITS.fullmatch(text) or int(text) < 1:
        raise ApiError(400, "INVALID_LIMIT", "limit must be a whole number from 1 up")
    return min(int(text), MAX_LIMIT)


def flag(query: dict[str, str], name: str, *, true: Collection[str] = ("true", "1")) -> bool:
    """A switch.

    Raises:
        ApiError: 400 for anything but true and false.
    """
    text = query.get(name, "false").lower()
    if text not in {*true, "false", "0"}:
        raise ApiError(400, "INVALID_REQUEST", f"{name} must be true or false")
    return text in true


def id_of(text: str) -> str:
    """The id in a path.

    Raises:
        ApiError: 400 where there is none, or it cannot be one.
    """
    if not text:
        raise ApiError(400, "MISSING_ID", "the path names no memory")
    try:
        check_id(text, "id")
        check_plain_text(text, "id")
    except InvalidRequest as error:
        raise ApiError(400, "INVALID_ID", error.message) from None
    return text


def scope_of(request: Request, generation: Generation, project: str | None = None, *, must_say: bool = False) -> Scope:
    """Whose memories a request is about.

    Args:
        request: Its headers say who is asking, and maybe the project.
        generation: Says how.
        project: The one that a field or a query parameter names.
        must_say: Whether a blank project header is a mistake, and not the same as none.

    Raises:
        NotAuthenticated, ApiError: See `require_scope`; 400 also where header and field name different projects.
    """
    scope = require_scope(request.scope, generation)
    if must_say and scope.project is None and generation.config.memory.service.project_header in request.headers:
        raise ApiError(400, "INVALID_PROJECT", "the project header is blank; leave it out for all projects")
    if project is None or project == scope.project:
        return scope
    if scope.project is not None:
        raise ApiError(400, "INVALID_PROJECT", "the project header and the request name different projects")
    return Scope(scope.user_id, project)
