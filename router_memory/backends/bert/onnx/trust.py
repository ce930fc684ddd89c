"""Whether the files of an export can be from this user alone."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Unusable", "check_rights"]

_ROOT = 0


class Unusable(Exception):
    """There is no export in a folder, or not one to be used; the text says why."""


def check_rights(folder: Path, names: Iterable[str]) -> None:
    """Refuses a folder and files in it that somebody else could have written: a graph is run as it lies there.

    Only this user and root may own them, and not everybody may write. A group may: who runs containers gives volumes a
    group of their own. Windows, which has other rights, is not looked at.

    Raises:
        Unusable: Somebody else owns one or may write it, or it cannot be looked at.
    """
    if not hasattr(os, "geteuid"):
        return
    trusted = (os.geteuid(), _ROOT)
    for path in (folder, *(folder / name for name in names)):
        what = "its folder" if path == folder else path.name
        try:
            found = path.stat()
        except OSError as error:
            raise Unusable(f"{what} cannot be read: {error.strerror}") from None
        if found.st_uid not in trusted:
            raise Unusable(f"{what} belongs to user {found.st_uid}, neither to this one ({trusted[0]}) nor to root")
        if found.st_mode & stat.S_IWOTH:
            raise Unusable(f"{what} may be written by everybody (mode {stat.S_IMODE(found.st_mode):o})")
