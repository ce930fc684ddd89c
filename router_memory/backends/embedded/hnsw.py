"""The HNSW file of a user with many memories: made from the database, named by its content, never trusted unchecked.

`<database>.hnsw/<user digest>-<checksum>.usearch` holds half-precision copies of vectors under
their numbers. The database says which checksum is current and up to which number the vectors are
in it; so a file that is missing, damaged or of another state of the database is simply made anew.

Reading a gigabyte to compare its checksum takes seconds. What was compared once is therefore remembered in
`….checked` beside the file, as its inode, size and times of change and of its inode's; while the system gives the same
ones, nobody has written to it. A graph proposes numbers and no more: whose they are is asked of the database.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from router_memory.backends.embedded.graph import Graph

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GraphFiles"]

_READ_BYTES = 1 << 20
_SUFFIXES = frozenset({".usearch", ".checked", ".tmp"})
_ORPHAN_SECONDS = 3_600


class GraphFiles:
    """The folder of HNSW files beside a database.

    Args:
        database: Path of the database file.
        dimension: Of the vectors.
    """

    def __init__(self, database: Path, dimension: int) -> None:
        self.folder = database.with_name(database.name + ".hnsw")
        self._dimension = dimension

    def path(self, digest: str, checksum: str) -> Path:
        """Where the user's graph of that content is."""
        return self.folder / f"{digest}-{checksum}.usearch"

    def exist(self) -> bool:
        """Whether there may be any."""
        return self.folder.is_dir()

    def bytes(self) -> int:
        """Size of all files."""
        return sum(_size(path) for path in self.folder.glob("*.usearch"))

    def write(self, digest: str, graph: Graph) -> str:
        """Writes a graph under the name of its content. The checksum.

        Raises:
            OSError: The disk is full or cannot be written.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        draft = self.folder / f"{digest}-{secrets.token_hex(8)}.tmp"
        try:
            graph.save(draft)
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            checksum = _checksum(draft)
            path = self.path(digest, checksum)
            draft.replace(path)
            with suppress(FileNotFoundError):  # another process has announced its own and deleted this one
                _remember(path, _identity(path))
        except RuntimeError as error:  # usearch's word for a write that failed
            raise OSError(0, str(error), str(draft)) from error
        finally:
            draft.unlink(missing_ok=True)
        return checksum

    def read(self, digest: str, checksum: str, watermark: int, *, writable: bool) -> Graph | None:
        """The user's graph, ``None`` when the file is missing or is not what was written."""
        path = self.path(digest, checksum)
        try:
            identity = _identity(path)  # before it is read: what is written to it meanwhile makes it another
            if not _is_remembered(path, identity):
                if _checksum(path) != checksum:
                    return None
                _remember(path, identity)
            graph = Graph(self._dimension, watermark, checksum)
            graph.restore(path, writable=writable)
        except (OSError, RuntimeError, ValueError):
            return None
        return graph

    def keep_only(self, digest: str, checksum: str | None) -> None:
        """Deletes the user's files but that of `checksum`; all of them when it is ``None``."""
        keep = None if checksum is None else self.path(digest, checksum)
        for path in self.folder.glob(f"{digest}-*.usearch"):
            if path != keep:
                path.unlink(missing_ok=True)
                _note(path).unlink(missing_ok=True)

    def sweep(self, current: set[str]) -> None:
        """Deletes what no user needs any more and a crash may have left behind.

        Args:
            current: ``<digest>-<checksum>`` of every file in use. A young file is left: another process may
                be about to announce it.
        """
        oldest = time.time() - _ORPHAN_SECONDS
        for path in self.folder.glob("*-*"):
            if path.suffix in _SUFFIXES and path.stem not in current and _modified(path) < oldest:
                path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # another process has just replaced it
        return 0


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _note(path: Path) -> Path:
    """Where it is remembered that the file's content was compared with its name."""
    return path.with_suffix(".checked")


def _identity(path: Path) -> str:
    found = path.stat()
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"


def _is_remembered(path: Path, identity: str) -> bool:
    try:
        return _note(path).read_text(encoding="ascii") == identity
    except (OSError, UnicodeDecodeError):
        return False


def _remember(path: Path, identity: str) -> None:
    """Writes down that the file is whole. Where that fails, it is compared again the next time."""
    try:
        _note(path).write_text(identity, encoding="ascii")
    except OSError:
        return


def _checksum(path: Path) -> str:
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            state.update(block)
    return state.hexdigest()
