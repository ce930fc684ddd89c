"""How fast memories are stored, beside a bare SQLite table of the same rows; what a file takes and costs to open."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.scale.settings import DIMENSION, FINGERPRINT
from router_memory.backends.embedded import EmbeddedStore
from router_memory.storage import encode_document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.types import MemoryWrite, Scope

__all__ = ["Batch", "bare_rate", "bytes_of", "open_seconds", "opened", "store_all"]

Batch = tuple["Scope", Sequence["MemoryWrite"]]


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[EmbeddedStore]:
    """An open store with the settings that the product has by default, durable writes among them."""
    store = EmbeddedStore(path, dimension=DIMENSION, fingerprint=FINGERPRINT, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def store_all(store: EmbeddedStore, batches: Iterable[Batch], writers: int) -> float:
    """Stores the batches, `writers` of them at a time. The seconds in the store; making the batches is not counted."""
    seconds = 0.0
    waiting = iter(batches)
    while group := list(islice(waiting, writers)):
        began = perf_counter()
        await asyncio.gather(*(store.add(scope, writes) for scope, writes in group))
        seconds += perf_counter() - began
    return seconds


def bare_rate(folder: Path, batches: Iterable[Batch]) -> float:
    """Memories a second into a table of id, text, stems and vector without any index, a durable commit each batch."""
    path, count, seconds = folder / "bare.db", 0, 0.0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bare (id TEXT, content TEXT, document TEXT, vector BLOB)")
        for _, writes in batches:
            began = perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO bare VALUES (?, ?, ?, ?)", _rows(writes))
            connection.execute("COMMIT")
            seconds += perf_counter() - began
            count += len(writes)
    path.unlink()
    return count / seconds


def _rows(writes: Sequence[MemoryWrite]) -> Iterator[tuple[object, ...]]:
    for write in writes:
        record = write.record
        yield record.id, record.content, encode_document(write.document), write.vectors.tobytes()


async def open_seconds(paths: dict[str, Path], times: int) -> dict[str, float]:
    """Median seconds that opening each file takes, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(times):
        for name, path in paths.items():
            store = EmbeddedStore(path, dimension=DIMENSION, fingerprint=FINGERPRINT)
            began = perf_counter()
            await store.open()
            taken[name].append(perf_counter() - began)
            await store.close()
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def bytes_of(folder: Path) -> dict[str, int]:
    """Bytes on disk: of the database with its log, and of graphs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    graphs = sum(path.stat().st_size for path in files if path.suffix == ".usearch")
    return {"database": sum(path.stat().st_size for path in files) - graphs, "graphs": graphs}
