"""Whose memories a request over HTTP is about, once it is known who is asking. The same for every interface. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from router_memory.config import Config
from router_memory.errors import InvalidRequest
from router_memory.types import Scope

__all__ = ["refusal_code", "scope_of"]


def scope_of(user_id: str, headers: Iterable[tuple[bytes, bytes]], config: Config) -> Scope:
    """The memories of a user, in the project that the request's header names, if any.

    Args:
        user_id: Verified.
        headers: Names and values as ASGI has them, names in lower case.
        config: Says which header names the project.

    Raises:
        InvalidRequest: The user or the project is no valid id, or two different projects are named.
    """
    return Scope(user_id, _project(headers, config.memory.service.project_header.encode()))


def refusal_code(error: InvalidRequest) -> str:
    """What an answer calls an error of `scope_of`, for programs."""
    return "INVALID_PROJECT" if error.field == "project" else "INVALID_USER_ID"


def _project(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    values = {value.strip() for name, value in headers if name == wanted}
    if len(values) > 1:
        raise InvalidRequest("the request names two projects", field="project")
    try:
        return next((value.decode() for value in values if value), None)
    except UnicodeDecodeError:
        raise InvalidRequest("the project is not text in UTF-8", field="project") from None
