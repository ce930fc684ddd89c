"""The border to sqlite3 and the file system: their exceptions become ours here and nowhere else."""

from __future__ import annotations

import errno
import shlex
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from router_memory.errors import BackendError, BackendRejected, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["BACKEND", "Damaged", "Misfiled", "damaged", "translating"]

BACKEND = "embedded"

_RESTORE = (
    "restore the file from a backup, or save what is readable with the sqlite3 shell of sqlite.org: "
    'sqlite3 {file} ".recover" | sqlite3 NEW; nothing was deleted'
)
_NOT_OURS = f"if the path is wrong, correct it; if not, {_RESTORE}"
_READ_ONLY = (
    "the process needs write permission on the file and on its folder, and the file system must not be "
    "mounted read-only"
)
_CANNOT_OPEN = (
    "the folder is missing, the process has no write permission on it or on the file, the file system is mounted "
    "read-only, or the path is a folder"
)
_NO_FOLDER = "a part of the path is a file where a folder is needed; configure another path"
_SPACE = "free space on the disk or raise its quota; what was acknowledged is kept"
_DEVICE = "look at the disk and the kernel log; the call may be repeated"
_LOCKED = "another process holds the write lock: stop it, or raise busy_timeout_ms"

_BY_PRIMARY_CODE: dict[int, tuple[type[BackendError], str]] = {
    sqlite3.SQLITE_BUSY: (BackendTimeout, _LOCKED),
    sqlite3.SQLITE_LOCKED: (BackendTimeout, "another connection holds the table"),
    sqlite3.SQLITE_FULL: (BackendRejected, _SPACE),
    sqlite3.SQLITE_READONLY: (BackendRejected, _READ_ONLY),
    sqlite3.SQLITE_PERM: (BackendRejected, _READ_ONLY),
    sqlite3.SQLITE_AUTH: (BackendRejected, _READ_ONLY),
    sqlite3.SQLITE_CANTOPEN: (BackendRejected, _CANNOT_OPEN),
    sqlite3.SQLITE_CORRUPT: (BackendRejected, _RESTORE),
    sqlite3.SQLITE_NOTADB: (BackendRejected, _NOT_OURS),
    sqlite3.SQLITE_IOERR: (BackendUnavailable, _DEVICE),
    sqlite3.SQLITE_PROTOCOL: (BackendUnavailable, "too many processes open the file at once; the call may be repeated"),
    sqlite3.SQLITE_NOMEM: (BackendUnavailable, "the process is short of memory"),
    sqlite3.SQLITE_INTERRUPT: (BackendUnavailable, ""),
}

_BY_EXTENDED_CODE: dict[int, tuple[type[BackendError], str]] = {
    sqlite3.SQLITE_IOERR_SHMSIZE: (BackendRejected, _SPACE),  # the index of the log needs 32 KiB beside the file
}

_BY_ERRNO: dict[int, tuple[type[BackendError], str]] = {
    errno.ENOSPC: (BackendRejected, _SPACE),
    errno.EDQUOT: (BackendRejected, _SPACE),
    errno.EIO: (BackendUnavailable, _DEVICE),
    errno.ENOTDIR: (BackendRejected, _NO_FOLDER),
    errno.EEXIST: (BackendRejected, _NO_FOLDER),
}


class Damaged(Exception):
    """A row holds what the store never writes. The text tells which part of it, never what it says."""


class Misfiled(Exception):
    """A row of another scope was found where it cannot be: the file is damaged, or this is a defect of ours."""


def damaged(path: Path, operation: str, finding: str) -> BackendRejected:
    """The error for a file whose content is not what the store writes."""
    return BackendRejected(
        f"{path}: the file is damaged: {finding}",
        backend=BACKEND,
        operation=operation,
        hint=_RESTORE.format(file=shlex.quote(str(path))),
    )


def _from_sqlite(error: sqlite3.Error, operation: str, path: Path) -> BackendError:
    """The error of ours for one of sqlite3's. SQLite's own text names tables, never values."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and "decode to UTF-8" in str(error):  # sqlite3's own text quotes the value
        return damaged(path, operation, "a text is not UTF-8")
    if code is None:
        return BackendUnavailable(f"{path}: {error}", backend=BACKEND, operation=operation)
    name = getattr(error, "sqlite_errorname", "")
    kind, hint = _BY_EXTENDED_CODE.get(code) or _BY_PRIMARY_CODE.get(code & 0xFF, (BackendRejected, ""))
    return kind(
        f"{path}: {error} [{name}]",
        backend=BACKEND,
        operation=operation,
        hint=hint.format(file=shlex.quote(str(path))),
    )


def _from_os(error: OSError, operation: str, path: Path) -> BackendError:
    kind, hint = _BY_ERRNO.get(error.errno or 0, (BackendRejected, _READ_ONLY))
    other = error.filename is not None and str(error.filename) != str(path)
    message = f"{path}: {error.strerror}: {error.filename}" if other else f"{path}: {error.strerror}"
    return kind(message, backend=BACKEND, operation=operation, hint=hint)


@contextmanager
def translating(operation: str, path: Path) -> Iterator[None]:
    """Raises the `BackendError` that stands for a sqlite3 or operating-system error inside the block.

    Args:
        operation: What is being done.
        path: The database file, which every message names.

    Raises:
        BackendTimeout: Another connection kept the lock longer than the busy timeout.
        BackendUnavailable: An I/O error, no memory, or a closed connection.
        BackendRejected: Full or read-only disk, corrupt file, no rights, and everything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise _from_sqlite(error, operation, path) from error
    except OSError as error:
        raise _from_os(error, operation, path) from error
    except Damaged as error:
        raise damaged(path, operation, str(error)) from error
    except Misfiled as error:
        raise BackendRejected(
            f"{path}: {error}",
            backend=BACKEND,
            operation=operation,
            hint="the file is damaged or this is a defect: please report it",
        ) from error
