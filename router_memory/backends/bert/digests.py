"""Digests of large files, remembered: hashing a model's weights at each start takes longer than loading them.

A file counts as unchanged while path, device, inode, size and the times of its last write and of its last change of
state are what they were. The last cannot be set by programs, so that a file which was replaced or written over is read
again even where it was given its old size and date. What a disk does to a file by itself is not noticed this way.
Whatever is remembered, `router-memory doctor` and `router-memory model verify` read every file of an export, and the
latter compares its vectors with what the weights give as they are then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory.backends.bert.onnx.trust import Unusable, check_rights

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SETTLED_SECONDS", "Digests"]

SETTLED_SECONDS = 2.0
"""How long a file was left alone before its digest is remembered: two writes within the grain of a file system's clock
have the same times. Two seconds is the coarsest there is."""
_FOLDER = ".digests"
_FORMAT = 1
_LEAST_BYTES = 1024 * 1024
"""Smaller files are read sooner than looked up."""
_FILE_MODE = 0o644
"""Others may read it, as they may the exports beside it; none may write it."""


@dataclass(frozen=True, slots=True)
class Digests:
    """What is remembered of files, one small file for each.

    A folder that is missing or cannot be written, and one that somebody else could have written (see `check_rights`),
    is as if there were none: files are read each time. It is not made here, nor written in by who does not own it:
    root, who only has a look, would leave there what the service cannot write.

    Attributes:
        folder: Where exports are kept; ``None`` remembers nothing.
    """

    folder: Path | None = None

    def of(self, file: Path, kind: str, compute: Callable[[Path], str]) -> str:
        """The digest of a file.

        Args:
            file: An existing file.
            kind: Names the function.
            compute: Reads the file.

        Raises:
            OSError: It cannot be read.
        """
        before = file.stat()
        if self.folder is None or before.st_size < _LEAST_BYTES:
            return compute(file)
        place = self.folder / _FOLDER
        path = os.path.abspath(file)  # noqa: PTH100 - Path.absolute keeps "..", resolve follows links
        name = hashlib.sha256(f"{kind}\0{path}".encode(errors="surrogateescape")).hexdigest()[:32] + ".json"
        stamp = _stamp(before)
        known = _recall(place, name, stamp)
        if known is not None:
            return known
        found = compute(file)
        settled = time.time() - max(before.st_mtime, before.st_ctime) >= SETTLED_SECONDS
        if settled and _stamp(file.stat()) == stamp:
            with contextlib.suppress(OSError):  # no cache, one that is only read, or a full disk
                if _is_own(self.folder):
                    _remember(place, name, stamp, found)
        return found


def _stamp(found: os.stat_result) -> list[int]:
    """What differs when a file is not the same any more."""
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _is_own(folder: Path) -> bool:
    return not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid()


def _recall(place: Path, name: str, stamp: list[int]) -> str | None:
    try:
        check_rights(place, (name,))
        content = json.loads((place / name).read_text(encoding="utf-8"))
        same = content["format"] == _FORMAT and content["stamp"] == stamp
        return str(content["digest"]) if same else None
    except (
        Unusable,
        OSError,
        ValueError,
        LookupError,
        TypeError,
    ):  # none, damaged, or not to be trusted
        return None


def _remember(place: Path, name: str, stamp: list[int], digest: str) -> None:
    """Writes it in one step: whoever reads meanwhile sees what was there before, or all of it."""
    place.mkdir(exist_ok=True)
    handle, written = tempfile.mkstemp(prefix=".", dir=place)
    temporary = Path(written)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"format": _FORMAT, "stamp": stamp, "digest": digest}, stream)
        temporary.chmod(_FILE_MODE)
        temporary.replace(place / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
