"""The border to sqlite3 and the file system: their exceptions become ours here and nowhere else."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_memory.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BACKEND", "translating"]

BACKEND = "embedded"

_RESTORE = (
    "restore the file from a backup, or move it away to start empty; nothing was deleted, "
    "and `router-memory stats` shows what a store holds"
)
_RIGHTS = "the process needs write permission on the file and on its directory"
_SPACE = "free space on the disk or raise its quota; what was acknowledged is kept"
_DEVICE = "look at the disk and the kernel log; the call may be repeated"

_BY_PRIMARY_CODE: dict[int, tuple[type[BackendError], str]] = {
    sqlite3.SQLITE_BUSY: (BackendTimeout, "another process holds the write lock; raise busy_timeout_ms or stop it"),
    sqlite3.SQLITE_LOCKED: (BackendTimeout, "another connection holds the table"),
    sqlite3.SQLITE_FULL: (BackendRejected, _SPACE),
    sqlite3.SQLITE_READONLY: (BackendRejected, _RIGHTS),
    sqlite3.SQLITE_PERM: (BackendRejected, _RIGHTS),
    sqlite3.SQLITE_AUTH: (BackendRejected, _RIGHTS),
    sqlite3.SQLITE_CANTOPEN: (BackendRejected, _RIGHTS),
    sqlite3.SQLITE_CORRUPT: (BackendRejected, _RESTORE),
    sqlite3.SQLITE_NOTADB: (BackendRejected, _RESTORE),
    sqlite3.SQLITE_IOERR: (BackendUnavailable, _DEVICE),
    sqlite3.SQLITE_PROTOCOL: (BackendUnavailable, "too many processes open the file at once; the call may be repeated"),
    sqlite3.SQLITE_NOMEM: (BackendUnavailable, "the process is short of memory"),
    sqlite3.SQLITE_INTERRUPT: (BackendUnavailable, ""),
}

_BY_ERRNO: dict[int, tuple[type[BackendError], str]] = {
    errno.ENOSPC: (BackendRejected, _SPACE),
    errno.EDQUOT: (BackendRejected, _SPACE),
    errno.EIO: (BackendUnavailable, _DEVICE),
}


def _from_sqlite(error: sqlite3.Error, operation: str) -> BackendError:
    """The error of ours for one of sqlite3's. SQLite's own text names tables, never values."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return BackendUnavailable(str(error), backend=BACKEND, operation=operation)
    name = getattr(error, "sqlite_errorname", "")
    kind, hint = _BY_PRIMARY_CODE.get(code & 0xFF, (BackendRejected, ""))
    return kind(f"{error} [{name}]", backend=BACKEND, operation=operation, hint=hint)


def _from_os(error: OSError, operation: str) -> BackendError:
    kind, hint = _BY_ERRNO.get(error.errno or 0, (BackendRejected, _RIGHTS))
    return kind(f"{error.strerror}: {error.filename}", backend=BACKEND, operation=operation, hint=hint)


@contextmanager
def translating(operation: str) -> Iterator[None]:
    """Raises the `BackendError` that stands for a sqlite3 or operating-system error inside the block.

    Raises:
        BackendTimeout: Another connection kept the lock longer than the busy timeout.
        BackendUnavailable: An I/O error, no memory, or a closed connection.
        BackendRejected: Full or read-only disk, corrupt file, no rights, and everything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, operation) from error
    except OSError as error:
        raise _from_os(error, operation) from error
