"""The HNSW file of a user with many memories: made from the database, named by its content, never trusted unchecked.

`<database>.hnsw/<user digest>-<checksum>.usearch` holds half-precision copies of vectors under
their numbers. The database says which checksum is current and up to which number the vectors are
in it; so a file that is missing, damaged or of another state of the database is simply made anew.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from usearch.index import Index

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Graph", "GraphFiles"]

_CONNECTIVITY = 16
_EXPANSION_ADD = 128
_EXPANSION_SEARCH = 256
_READ_BYTES = 1 << 20
_ORPHAN_SECONDS = 3_600


def _index(dimension: int) -> Index:
    return Index(
        ndim=dimension,
        metric="ip",
        dtype="f16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        expansion_search=_EXPANSION_SEARCH,
    )


class Graph:
    """An HNSW graph over the vectors of one user.

    usearch hands its per-thread buffers out without waiting, so calls take turns on a lock.

    Args:
        dimension: Of the vectors.
        watermark: Vectors with numbers up to this one are in it.
    """

    def __init__(self, dimension: int, watermark: int = 0, checksum: str = "") -> None:
        self.watermark = watermark
        self.checksum = checksum
        self._index = _index(dimension)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._index)

    def add(self, numbers: NDArray[np.int64], matrix: NDArray[np.float32]) -> None:
        """Adds vectors, float32 of shape (n, dimension). Not while others search this graph."""
        if len(numbers):
            self._index.add(numbers.astype(np.uint64), matrix, threads=1)

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Numbers of about the `count` nearest vectors, nearest first; deleted ones may be among them."""
        with self._lock:
            matches = self._index.search(vector, min(count, len(self._index)), threads=1)
            return np.asarray(matches.keys, dtype=np.int64)

    def save(self, path: Path) -> None:
        """Writes the graph to a file."""
        self._index.save(path)

    def restore(self, path: Path, *, writable: bool) -> None:
        """Takes the graph from a file: as a copy to add to, or mapped into memory to search."""
        if writable:
            self._index.load(path)
        else:
            self._index.view(path)


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
            draft.replace(self.path(digest, checksum))
        except RuntimeError as error:  # usearch's word for a write that failed
            raise OSError(0, str(error), str(draft)) from error
        finally:
            draft.unlink(missing_ok=True)
        return checksum

    def read(self, digest: str, checksum: str, watermark: int, *, writable: bool) -> Graph | None:
        """The user's graph, ``None`` when the file is missing or is not what was written."""
        path = self.path(digest, checksum)
        try:
            if _checksum(path) != checksum:
                return None
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

    def sweep(self, current: set[str]) -> None:
        """Deletes what no user needs any more and a crash may have left behind.

        Args:
            current: ``<digest>-<checksum>`` of every file in use. A young file is left: another process may
                be about to announce it.
        """
        oldest = time.time() - _ORPHAN_SECONDS
        for path in self.folder.glob("*-*"):
            if path.suffix in {".usearch", ".tmp"} and path.stem not in current and _modified(path) < oldest:
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


def _checksum(path: Path) -> str:
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            state.update(block)
    return state.hexdigest()
