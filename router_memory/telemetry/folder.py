"""The folder in which the workers of one service keep their metrics.

Each worker writes files of its own, and whoever is asked reads them all. What a worker counted stays when it ends; its
gauges go. So that a service whose workers come and go does not gather files without end, the counts of the dead are
put together in one file of each kind.
"""

from __future__ import annotations

import fcntl
import logging
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from router_memory.errors import MissingExtra

__all__ = ["empty_folder", "has_values", "mark_process_dead", "shared_lock"]

_log = logging.getLogger("router_memory.telemetry")

_COUNTED = ("counter", "histogram")
_NOBODY = 0
"""Stands in the name of the files of the dead where others have a process id."""


def empty_folder(folder: Path) -> None:
    """Makes the folder, or takes away what an earlier run left in it; for the parent, before the first worker.

    Raises:
        OSError: It cannot be made or written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)


def mark_process_dead(folder: Path, pid: int) -> None:
    """Takes away the gauges of a worker that has ended and keeps what it counted; for the parent.

    A file that cannot be read, as of a worker that was killed while it made it, is taken away with a warning, as nobody
    could read the others beside it.

    Raises:
        MissingExtra: prometheus-client is not installed.
    """
    with _lock(folder, fcntl.LOCK_EX):
        for path in folder.glob(f"gauge_*_{pid}.db"):
            path.unlink(missing_ok=True)
        for kind in _COUNTED:
            dead = folder / f"{kind}_{pid}.db"
            try:
                _fold(dead, folder / f"{kind}_{_NOBODY}.db")
            except (OSError, RuntimeError, ValueError, struct.error) as error:
                _log.warning("what process %d counted is lost: %s", pid, type(error).__name__)
                dead.unlink(missing_ok=True)


def has_values(path: Path) -> bool:
    """Whether a file is there and not empty, as it is for a moment after it was made."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextmanager
def shared_lock(folder: Path) -> Iterator[None]:
    """Keeps the parent from putting counts together meanwhile: read halfway they would be wrong."""
    with _lock(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def _lock(folder: Path, kind: int) -> Iterator[None]:
    with (folder / ".lock").open("a") as stream:
        fcntl.flock(stream, kind)
        yield


def _fold(dead: Path, into: Path) -> None:
    """Adds the counts of one file to another one, in one step, and takes the file away."""
    try:
        from prometheus_client.mmap_dict import MmapedDict
    except ImportError:
        raise MissingExtra("the metrics of the service", extra="server") from None
    if not has_values(dead):
        dead.unlink(missing_ok=True)
        return
    counts = list(MmapedDict.read_all_values_from_file(str(dead)))  # type: ignore[no-untyped-call]
    if not into.exists():
        dead.replace(into)
        return
    fresh = into.with_suffix(".new")
    shutil.copyfile(into, fresh)
    merged = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
    try:
        for key, count, _, _ in counts:
            merged.write_value(key, merged.read_value(key)[0] + count, 0.0)  # type: ignore[no-untyped-call]
    finally:
        merged.close()  # type: ignore[no-untyped-call]
    fresh.replace(into)
    dead.unlink()
