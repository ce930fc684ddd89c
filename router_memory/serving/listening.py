"""The sockets that all workers accept on, bound once by the parent."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Any

from router_memory.errors import RouterMemoryError

__all__ = ["BACKLOG", "CannotListen", "bind", "urls"]

BACKLOG = 2048
"""Connections that wait to be accepted; the kernel may allow fewer."""

_SAID = {
    errno.EADDRINUSE: ("another process listens there", "stop it, or choose another port with --port"),
    errno.EACCES: ("this user may not listen there", "choose a port from 1024 up with --port"),
    errno.EADDRNOTAVAIL: ("this machine does not have that address", "choose another one with --host"),
}


class CannotListen(RouterMemoryError):
    """The address cannot be listened on."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on every address of a host name, IPv4 and IPv6, that do not block.

    Args:
        host: A name, an address, or nothing for all addresses of this machine.
        port: 0 to 65,535; 0 takes one that is free, the same on all addresses.

    Raises:
        CannotListen: One of them cannot be listened on; none stays open.
    """
    found: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            chosen = found[0].getsockname()[1] if found else port
            found.append(_listen(family, (address[0], chosen, *address[2:])))
    except BaseException:
        for each in found:
            each.close()
        raise
    return found


def urls(sockets: list[socket.socket]) -> list[str]:
    """Where they are reached, as URLs."""
    names = [(each.family, each.getsockname()) for each in sockets]
    return [
        f"http://[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"http://{name[0]}:{name[1]}"
        for family, name in names
    ]


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not the name of a host"
        raise CannotListen(f"the address of {host} cannot be found: {reason}") from None
    usable: dict[tuple[socket.AddressFamily, tuple[Any, ...]], None] = {}
    for family, _, _, _, address in found:
        if _supported(family):
            usable[family, address] = None  # once each, in the order given
    return sorted(usable, key=lambda each: each[0] != socket.AF_INET)


def _supported(family: socket.AddressFamily) -> bool:
    """A machine may resolve IPv6 names and have no IPv6."""
    if family == socket.AF_INET:
        return True
    if family != socket.AF_INET6 or not socket.has_ipv6:
        return False
    with suppress(OSError):
        socket.socket(family, socket.SOCK_STREAM).close()
        return True
    return False


def _listen(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        said, hint = _SAID.get(error.errno or 0, (error.strerror or "unknown error", ""))
        place = f"[{address[0]}]:{address[1]}" if family == socket.AF_INET6 else f"{address[0]}:{address[1]}"
        raise CannotListen(f"cannot listen on {place}: {said}", hint=hint) from None
    return listener
