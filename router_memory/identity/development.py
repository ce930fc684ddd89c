"""Development mode: whoever works at this machine may be anybody, and nobody else may."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import parse_qsl

from router_memory.config.headers import is_loopback
from router_memory.errors import NotAuthenticated
from router_memory.identity.caller import Caller
from router_memory.identity.pages import check_own_page, check_this_machine, only_header
from router_memory.identity.presented import Presented

__all__ = ["as_developer"]

_USER = "user_id"
_MOST_FIELDS = 100


def as_developer(
    headers: Sequence[tuple[bytes, bytes]], presented: Presented, peer: str | None, query: bytes
) -> Caller:
    """The caller in development mode: an admin, for the user that ``?user_id=`` or the user header names.

    A page from elsewhere, opened in the developer's browser, must not get here: not under a name of its own that
    leads to this machine (DNS rebinding), nor by a request across sites.

    Raises:
        NotAuthenticated: The request does not come from this machine's own user, or names two users.
    """
    host = only_header(headers, b"host")
    check_this_machine(host)
    check_own_page(headers, host)
    if peer is not None and _is_remote(peer):
        raise NotAuthenticated("development mode is for this machine alone")
    named = {user for user in (presented.user(), _from_query(query)) if user is not None}
    if len(named) > 1:
        raise NotAuthenticated("?user_id= and the user header name different users")
    return Caller(next(iter(named), None), admin=True, how="development")


def _is_remote(peer: str) -> bool:
    try:
        ip_address(peer.partition("%")[0])
    except ValueError:
        return False  # a Unix socket, or an application called without a connection
    return not is_loopback(peer)


def _from_query(query: bytes) -> str | None:
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise NotAuthenticated("the query of the URL cannot be read") from None
    users = {value for name, value in pairs if name == _USER and value.strip()}
    if len(users) > 1:
        raise NotAuthenticated("?user_id= stands there twice")
    return users.pop() if users else None
