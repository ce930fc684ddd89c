"""Where tests find a server, in this order.

1. `ROUTER_MEMORY_TEST_VALKEY`, host:port of a running one with the Search module.
2. `ROUTER_MEMORY_VALKEY_SERVER`, a command, or `valkey-server` on the PATH or beside the module; with the module at
   `ROUTER_MEMORY_SEARCH_MODULE` or in the usual places.
3. A plain `valkey-server`, or a `redis-server`, for what needs no Search.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NO_SEARCH", "NO_SERVER", "Found", "find", "running"]

_FOLDERS = (Path("/opt/valkey-search"), Path("/usr/lib/valkey"), Path("/usr/lib/valkey/modules"))
_MODULE = "libsearch.so"

NO_SERVER = (
    "no server: install valkey-server (or redis-server), or set ROUTER_MEMORY_VALKEY_SERVER to its command, "
    "or ROUTER_MEMORY_TEST_VALKEY to host:port of a running one with Search"
)
NO_SEARCH = (
    "no server with Search: set ROUTER_MEMORY_TEST_VALKEY to host:port of a running one (docker compose up starts it), "
    "or ROUTER_MEMORY_SEARCH_MODULE to the path of libsearch.so"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What can be started.

    Args:
        command: The server's command line; empty when there is no server.
        module: The Search module; None when there is none.
    """

    command: tuple[str, ...]
    module: Path | None


def running() -> tuple[str, int] | None:
    """Host and port of the server that runs already, if one was named."""
    named = os.environ.get("ROUTER_MEMORY_TEST_VALKEY", "")
    if not named:
        return None
    host, _, port = named.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"ROUTER_MEMORY_TEST_VALKEY must be host:port, not {named!r}")
    return host, int(port)


def find() -> Found:
    """The server and the module on this machine."""
    module = _module()
    return Found(_command(module), module)


def _module() -> Path | None:
    named = os.environ.get("ROUTER_MEMORY_SEARCH_MODULE", "")
    if named:
        path = Path(named)
        if not path.is_file():
            raise ValueError(f"ROUTER_MEMORY_SEARCH_MODULE: there is no file {named}")
        return path
    places = (found for folder in _FOLDERS for found in (folder / _MODULE, *sorted(folder.glob(f"*/{_MODULE}"))))
    return next((place for place in places if place.is_file()), None)


def _command(module: Path | None) -> tuple[str, ...]:
    named = os.environ.get("ROUTER_MEMORY_VALKEY_SERVER", "")
    if named:
        return tuple(shlex.split(named))
    beside = (module.parent,) if module is not None else ()
    for folder in (*beside, *_FOLDERS):
        if os.access(folder / "valkey-server", os.X_OK):
            return (str(folder / "valkey-server"),)
    on_path = shutil.which("valkey-server") or shutil.which("redis-server")
    return (on_path,) if on_path else ()
