"""How a finished export gets to its place, and what processes that were ended on the way left there."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["folder_to_fill", "install", "size", "sweep"]

_UNFINISHED, _REPLACED = ".making-", ".replaced-"
_FOLDER_MODE, _FILE_MODE = 0o755, 0o644
"""Others may read an export, which holds nothing of users: it is made by whoever builds an image. None may write it."""
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def folder_to_fill(folder: Path) -> Iterator[Path]:
    """An empty folder beside the one of an export; it is removed at the end unless `install` has moved it."""
    target = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    try:
        yield target
    finally:
        shutil.rmtree(target, ignore_errors=True)


def install(target: Path, folder: Path) -> None:
    """Moves a finished export to its place in one step; what was there goes first."""
    for file in target.iterdir():
        file.chmod(_FILE_MODE)  # whatever the umask
    target.chmod(_FOLDER_MODE)
    while True:
        try:
            target.rename(folder)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                raise
        else:
            return
        replaced = Path(tempfile.mkdtemp(prefix=_REPLACED, dir=folder.parent))
        with suppress(FileNotFoundError):  # somebody else has moved it
            folder.rename(replaced / folder.name)
        shutil.rmtree(replaced, ignore_errors=True)


def sweep(parent: Path, *, seconds: float) -> None:
    """Removes what processes left that were ended in the middle.

    Args:
        parent: Where exports lie.
        seconds: How long a folder was not touched; a younger one may be another process's.
    """
    before = time.time() - seconds
    for prefix in (_UNFINISHED, _REPLACED):
        for left in parent.glob(f"{prefix}*"):
            with suppress(FileNotFoundError):  # somebody else sweeps
                if left.lstat().st_mtime < before:
                    shutil.rmtree(left, ignore_errors=True)


def size(folder: Path) -> int:
    """What its files take, in bytes."""
    return sum(file.stat().st_size for file in folder.iterdir())
