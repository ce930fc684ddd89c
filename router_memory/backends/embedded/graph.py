"""An HNSW graph of one user, in parts of a bounded size.

usearch goes down through the upper layers of a graph holding on to one node. Where vectors lie in clusters that are
about equally far from each other, there is no way from a wrong cluster to the right one once a cluster has many more
members than a search looks at: of 1,000,000 vectors in 500 clusters a search of one graph finds 94 in 100 of the ten
nearest, and 97 however long it looks; of 200,000 it finds them all (`bench.scale` has both). So a graph holds several
of usearch's, each of vectors with consecutive numbers, and a search asks them all. What is added goes to the last one.

A graph of one index is the file that usearch writes, as in earlier versions. One of several begins with `_HEAD`, which
earlier versions refuse to read and so make theirs anew: they would take the first index for the whole. The indexes
follow as usearch writes them, each at a multiple of 64 bytes, then their lengths in bytes and how many they are, as
little-endian 64-bit integers.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray
    from usearch.index import Index

__all__ = ["Graph", "new_index"]

_CONNECTIVITY = 16
_EXPANSION_ADD = 128
_EXPANSION_SEARCH = 256
_PART_VECTORS = 250_000
_ALIGNMENT = 64
_HEAD = (bytes(8) + b"rmgraph1").ljust(_ALIGNMENT, b"\0")
"""Where an index has no vectors, eight zero bytes stand before the mark of usearch."""
_INTEGER = struct.Struct("<Q")
_PAUSE_EVERY = 64
_COPY_BYTES = 1 << 20


def new_index(dimension: int) -> Index:
    """An empty usearch index, as a graph consists of."""
    from usearch.index import Index  # a twentieth of a second, which stores without a graph never need

    return Index(
        ndim=dimension,
        metric="ip",
        dtype="f16",
        connectivity=_CONNECTIVITY,
        expansion_add=_EXPANSION_ADD,
        expansion_search=_EXPANSION_SEARCH,
        enable_key_lookups=False,  # nobody asks for a vector by number, and that table takes memory and time to fill
    )


class _Part(NamedTuple):
    """One of the indexes. A tuple gives its fields up from the last to the first: the index before its memory."""

    content: memoryview | None
    """Bytes of a file that the index reads, which does not keep them alive itself; ``None`` where it has its own."""
    vectors: Index


class _Found(NamedTuple):
    """Vectors that were found, nearest first: numbers as int64, distances as float32."""

    keys: NDArray[np.int64]
    distances: NDArray[np.float32]


class Graph:
    """An HNSW graph over the vectors of one user.

    usearch hands its per-thread buffers out without waiting, so calls take turns on a lock.

    Args:
        dimension: Of the vectors.
        watermark: Vectors with numbers up to this one are in it.
        checksum: Of the file it was read from.
    """

    def __init__(self, dimension: int, watermark: int = 0, checksum: str = "") -> None:
        self.watermark = watermark
        self.checksum = checksum
        self._dimension = dimension
        self._parts: list[_Part] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(len(part.vectors) for part in self._parts)

    @property
    def outgrown(self) -> bool:
        """Whether an index holds more than a part may, as in files of earlier versions."""
        return any(len(part.vectors) > _PART_VECTORS for part in self._parts)

    def add(self, numbers: NDArray[np.int64], matrix: NDArray[np.float32], *, threads: int = 1) -> None:
        """Adds vectors, float32 of shape (n, dimension). Not while others search this graph."""
        done = 0
        while done < len(numbers):
            index = self._growing()
            some = slice(done, done + _PART_VECTORS - len(index))
            index.add(numbers[some].astype(np.uint64), matrix[some], threads=threads)
            done = some.stop

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Numbers of about the `count` nearest vectors, nearest first; deleted ones may be among them.

        Where more are wanted than a search looks at anyway, a part is asked for twice its share of them at first, and
        for `count` where even the last of those is among the nearest: what was stored together is often alike.
        """
        if not self._parts:
            return np.empty(0, np.int64)
        share = min(count, max(_EXPANSION_SEARCH, 2 * count // len(self._parts)))
        with self._lock:
            found = [_search(part, vector, share) for part in self._parts]
            if share < count:
                nearest = _merged(found, count)
                farthest = nearest.distances[-1] if len(nearest.keys) == count else np.inf
                for place, part in enumerate(self._parts):
                    if share < len(part.vectors) and found[place].distances[-1] < farthest:
                        found[place] = _search(part, vector, count)
        return _merged(found, count).keys

    def save(self, path: Path) -> None:
        """Writes the graph to a file, and while it does, files beside it whose names end in ``-part.tmp``.

        Raises:
            OSError: The disk is full or cannot be written.
            RuntimeError: The same, from usearch.
        """
        if len(self._parts) == 1 and self._parts[0].content is None:
            _write(self._parts[0].vectors, path)
            return
        lengths = []
        with path.open("wb") as file:
            file.write(_HEAD)
            for part in self._parts:
                start = file.tell()
                _append(file, part, path.with_name(f"{path.stem}-part.tmp"))
                lengths.append(file.tell() - start)
                file.write(bytes(-file.tell() % _ALIGNMENT))
            file.write(struct.pack(f"<{len(lengths) + 1}Q", *lengths, len(lengths)))

    def restore(self, path: Path, *, writable: bool) -> None:
        """Takes the graph from a file mapped into memory; to add to it, the last part as a copy.

        Raises:
            OSError: It cannot be read.
            RuntimeError: usearch finds it damaged.
            ValueError: It is empty or its parts are not where it says.
        """
        with path.open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        contents = [mapped[place] for place in _places(mapped)]
        for left, content in enumerate(reversed(contents)):
            index = new_index(self._dimension)
            if writable and left == 0:
                index.load(content, progress=_let_others_run)
                self._parts.insert(0, _Part(None, index))
            else:
                index.view(content, progress=_let_others_run)
                self._parts.insert(0, _Part(content, index))

    def _growing(self) -> Index:
        """The last part, or a new one where that is full or a file."""
        if not self._parts or self._parts[-1].content is not None or len(self._parts[-1].vectors) >= _PART_VECTORS:
            self._parts.append(_Part(None, new_index(self._dimension)))
        return self._parts[-1].vectors


def _append(file: BinaryIO, part: _Part, draft: Path) -> None:
    """Writes a part behind what the file has; what is in memory goes through a file of its own."""
    if part.content is not None:
        file.write(part.content)
        return
    try:
        _write(part.vectors, draft)
        with draft.open("rb") as saved:
            shutil.copyfileobj(saved, file, _COPY_BYTES)
    finally:
        draft.unlink(missing_ok=True)


def _write(index: Index, path: Path) -> None:
    """Writes an index to a file. usearch does not say so where the last few kilobytes find no room."""
    index.save(path, progress=_let_others_run)
    if path.stat().st_size != index.serialized_length:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _search(part: _Part, vector: NDArray[np.float32], count: int) -> _Found:
    matches = part.vectors.search(vector, min(count, len(part.vectors)), threads=1)
    return _Found(np.asarray(matches.keys, np.int64), np.asarray(matches.distances, np.float32))


def _merged(found: Sequence[_Found], count: int) -> _Found:
    """The `count` nearest of all that were found, or as many as there are."""
    distances = np.concatenate([one.distances for one in found])
    order = np.argsort(distances, kind="stable")[:count]
    return _Found(np.concatenate([one.keys for one in found])[order], distances[order])


def _places(content: memoryview) -> Iterator[slice]:
    """Where the parts are in a file."""
    if content[: len(_HEAD)] != _HEAD:
        yield slice(0, len(content))
        return
    end = len(content) - _INTEGER.size
    (count,) = _INTEGER.unpack_from(content, end)
    table = end - count * _INTEGER.size
    if table < len(_HEAD):
        raise ValueError(f"{count} parts do not fit into {len(content)} bytes")
    start = len(_HEAD)
    for length in struct.unpack_from(f"<{count}Q", content, table):
        if start + length > table:
            raise ValueError(f"a part of {length} bytes from {start} reaches beyond {table}")
        yield slice(start, start + length)
        start += length + -length % _ALIGNMENT


def _let_others_run(done: int, total: int) -> bool:
    """Usearch keeps the interpreter to itself while it reads or writes a file; where it asks this, others get in."""
    del total
    if done % _PAUSE_EVERY == 0:
        time.sleep(0)
    return True


# usearch compares the annotations with types, which those of this module are not until they are read
_let_others_run.__annotations__ = {"done": int, "total": int, "return": bool}
