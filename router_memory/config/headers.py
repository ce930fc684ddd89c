"""The names of HTTP headers, and of hosts, as a configuration writes them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

from router_memory.config.section import problem

__all__ = ["check_host", "header_name", "is_loopback"]

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a token, RFC 9110 §5.6.2
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+(%\w+)?")  # a name or IPv4; IPv6


def header_name(name: str) -> str:
    """The name in lower case, as servers give it.

    Raises:
        PydanticCustomError: It is no header's name.
    """
    if not _HEADER.fullmatch(name):
        raise problem("is not the name of an HTTP header")
    return name.lower()


def check_host(host: str) -> None:
    """Does nothing for a host name or an address.

    Raises:
        PydanticCustomError: It is neither.
    """
    if not _HOST.fullmatch(host):
        raise problem("is not a host name or address", hint="without a scheme, a port or a password")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine alone: ``localhost``, 127.0.0.0/8 or ``::1``, brackets allowed."""
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
