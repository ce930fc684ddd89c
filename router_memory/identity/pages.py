"""Requests that a page from elsewhere sends from a browser on this machine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from router_memory.config.headers import is_loopback
from router_memory.errors import NotAuthenticated

__all__ = ["ForeignPage", "check_no_page", "check_own_page", "check_this_machine", "only_header"]

Headers = Sequence[tuple[bytes, bytes]]

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(:[0-9]{1,5})?")
_OWN_PAGE = frozenset({b"same-origin", b"none"})  # `none`: somebody typed the address


class ForeignPage(NotAuthenticated):
    """A page from elsewhere may be behind the request, in a browser on this machine."""


def only_header(headers: Headers, wanted: bytes) -> bytes | None:
    """The value of a header; ``None`` without one.

    Raises:
        NotAuthenticated: It stands there with two values.
    """
    values = {value.strip() for name, value in headers if name.lower() == wanted}
    if len(values) > 1:
        raise NotAuthenticated(f"the request has more than one {wanted.decode()} header")
    return values.pop() if values else None


def check_this_machine(host: bytes | None) -> None:
    """Refuses a request for another host than this machine.

    Raises:
        ForeignPage: Its Host is neither ``localhost`` nor a loopback address.
    """
    name = _name(host)
    if name is None or not is_loopback(name):
        raise ForeignPage("in development mode the Host must be localhost or a loopback address")


def check_own_page(headers: Headers, host: bytes | None) -> None:
    """Refuses what a browser marks as sent by a page of another origin.

    Raises:
        ForeignPage: It does.
        NotAuthenticated: It says two different things.
    """
    site = only_header(headers, b"sec-fetch-site")
    origin = only_header(headers, b"origin")
    own_origin = origin is None or (host is not None and origin.lower().partition(b"://")[2] == host.lower())
    if (site is not None and site not in _OWN_PAGE) or not own_origin:
        raise ForeignPage("in development mode no other page may ask")


def check_no_page(headers: Headers) -> None:
    """Refuses a request to a loopback address that may come from a page from elsewhere.

    A page whose own name was led there (DNS rebinding) may set any header but Host, Origin and Sec-Fetch-Site, where
    its browser puts the truth. Any other page would have to ask first (CORS), and is never answered.

    Raises:
        ForeignPage: Host is a name of the public DNS, or Origin is not this machine.
        NotAuthenticated: One of them stands there with two values.
    """
    origin = only_header(headers, b"origin")
    if origin is None:
        foreign = only_header(headers, b"sec-fetch-site") == b"cross-site"
    else:
        foreign = not _is_here(_host_of(origin))
    if foreign or _is_public(only_header(headers, b"host")):
        raise ForeignPage(
            "Host or Origin is not this machine, so the user header may come from a web page; "
            "where a gateway passes them on, name its address in auth.trusted_peers"
        )


def _is_public(host: bytes | None) -> bool:
    """Whether a Host may be a name of the public DNS: it has a dot, and is none that always means this machine."""
    if not host:
        return False  # browsers always send it
    name = _name(host)
    if name is None:
        return True
    plain = name.rstrip(".").removeprefix("[").removesuffix("]")
    if "." not in plain or _is_here(plain):
        return False
    try:
        ip_address(plain)
    except ValueError:
        return True
    return False


def _is_here(name: str) -> bool:
    return is_loopback(name) or name.lower().endswith(".localhost")


def _host_of(origin: bytes) -> str:
    try:
        return urlsplit(origin.decode("latin-1")).hostname or ""
    except ValueError:
        return ""


def _name(host: bytes | None) -> str | None:
    match = _HOST.fullmatch(host.decode("latin-1")) if host else None
    return match["name"] if match else None
