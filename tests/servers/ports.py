"""Ports that no other test, test run or outgoing connection on this machine uses.

A node of a cluster has three: its own, the bus 10,000 above it and the coordinator of Search 20,294 above it. The last
is shared in silence when two processes listen on it, so that looking whether a port is free is not enough.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

__all__ = ["BUS", "COORDINATOR", "free_port", "node_port"]

BUS = 10_000
COORDINATOR = 20_294

# All of them lie below 32,768, where Linux begins to take the ports of outgoing connections from, and none of the kinds
# overlaps another: nodes, other servers, buses, other servers, coordinators.
_NODES = range(10_000, 12_400)
_OTHERS = (*range(12_400, 20_000), *range(22_400, 30_200))
_STRIDE = 7_919  # a prime: processes beside each other begin far from each other

_taken: set[int] = set()
_locks: int | None = None


def free_port() -> int:
    """A loopback port that nobody listens on, and that no other test run on this machine gets until this one ends."""
    return _claim(_OTHERS, ())


def node_port() -> int:
    """The same for a node of a cluster, with `BUS` and `COORDINATOR` above it."""
    return _claim(_NODES, (BUS, COORDINATOR))


def _claim(ports: range | tuple[int, ...], offsets: tuple[int, ...]) -> int:
    start = os.getpid() * _STRIDE + len(_taken)
    for step in range(len(ports)):
        port = ports[(start + step) % len(ports)]
        if port not in _taken and _lock(port) and all(_free(port + offset) for offset in (0, *offsets)):
            _taken.add(port)
            return port
    raise OSError("no free port")


def _lock(port: int) -> bool:
    """Takes the port's byte of a file that all test runs of this user share; the kernel gives it back at their end."""
    global _locks  # one for the process: closing a second one would give all locks back
    if _locks is None:
        path = Path(tempfile.gettempdir()) / f"router-memory-test-ports-{os.getuid()}"
        _locks = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _free(port: int) -> bool:
    """Whether a server could listen on it, on all addresses as the coordinator does."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
