"""What a route needs to know of its request: whose service this is, and who is asking."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from router_memory.errors import InvalidRequest, NotPermitted
from router_memory.identity import Authenticator, Caller, who_is_wanted
from router_memory.interfaces.http.errors import ApiError
from router_memory.service import Generation, Service
from router_memory.service.asking import refusal_code, scope_of
from router_memory.types import Scope

__all__ = ["caller_of", "require_admin", "require_scope", "service_of"]

RequestScope = MutableMapping[str, Any]
"""What ASGI knows of a request: ``request.scope``."""

_CALLER = "router_memory.caller"


def service_of(scope: RequestScope) -> Service:
    """The service behind the application."""
    service = scope["app"].state.service
    if not isinstance(service, Service):
        raise TypeError("the application has no service")
    return service


def caller_of(scope: RequestScope, generation: Generation) -> Caller:
    """Who is asking, found out once for each request and configuration.

    A request that began under an earlier configuration and is served by this one must pass its rules too: a key that
    was taken back opens nothing any more, however long the body took to come.

    Raises:
        NotAuthenticated: There is a credential, and it is not good.
    """
    known: tuple[Authenticator, Caller] | None = scope.get(_CALLER)
    if known is not None and known[0] is generation.authenticator:
        return known[1]
    client = scope.get("client")
    caller = generation.authenticator.identify(
        scope["headers"], peer=client[0] if client else None, query=scope.get("query_string", b"")
    )
    scope[_CALLER] = generation.authenticator, caller
    return caller


def require_scope(scope: RequestScope, generation: Generation) -> Scope:
    """Whose memories a request is about: those of the caller, in the project that a header names, if any.

    Raises:
        NotAuthenticated: There is a credential, and it is not good.
        ApiError: 401 where nobody is named, 400 where the user or the project is no valid id.
    """
    caller = caller_of(scope, generation)
    if caller.user_id is None:
        message = who_is_wanted(generation.config, caller)
        raise ApiError(401, "MISSING_USER_ID", message, headers={"www-authenticate": "Bearer"})
    try:
        return scope_of(caller.user_id, scope["headers"], generation.config)
    except InvalidRequest as error:
        raise ApiError(400, refusal_code(error), str(error)) from None


def require_admin(scope: RequestScope, generation: Generation) -> Caller:
    """The caller, who may do what operators do.

    Raises:
        NotAuthenticated: There is a credential, and it is not good.
        ApiError: 401 without a credential.
        NotPermitted: It is not an operator's.
    """
    caller = caller_of(scope, generation)
    if caller.admin:
        return caller
    if caller.how in ("anonymous", "header"):
        raise ApiError(
            401, "NOT_AUTHENTICATED", "this needs an admin credential", headers={"www-authenticate": "Bearer"}
        )
    raise NotPermitted("this needs an admin credential")
