"""The embedded store: one SQLite file, searched in the process."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from router_memory.backends.embedded import reads
from router_memory.backends.embedded import writes as changes
from router_memory.backends.embedded.engine import Engine
from router_memory.backends.embedded.examine import Settings, examine
from router_memory.backends.embedded.owners import find_epoch
from router_memory.backends.embedded.schema import Layout
from router_memory.backends.embedded.translate import BACKEND
from router_memory.errors import BackendUnavailable, InvalidRequest
from router_memory.storage import (
    check_change,
    check_ids,
    check_layout,
    check_limit,
    check_moment,
    check_query,
    check_types,
    check_writes,
    decode_cursor,
)
from router_memory.storage.checks import check_integer

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from router_memory.types import (
        CandidateQuery,
        CandidateSet,
        Finding,
        LexicalStatistics,
        MemoryChange,
        MemoryRecord,
        MemoryType,
        MemoryWrite,
        Page,
        Scope,
        StoreStats,
        WriteStatus,
    )

__all__ = ["EmbeddedStore"]

_T = TypeVar("_T")

_FORGET_BATCH = 1_000
_USERS_READ = 500
_DEFAULT_CACHE_BYTES = 256 * 1024 * 1024
_SYNCHRONOUS = ("full", "normal", "off")


class EmbeddedStore:
    """Memories in one SQLite file; implements `MemoryStore`.

    SQLite is the only truth. Searches run on snapshots of users in memory or, past `promote_at`
    memories, on HNSW files beside the database, which are made anew whenever they are not fit.
    Several processes may use one file; each sees the others' writes at once. The access count in a
    search result may lag behind: it changes no epoch.

    Args:
        path: The file; it and its directories are created when missing. On a local disk.
        dimension: Of the vectors.
        fingerprint: Of the embedder; a file written with another one is refused. Without fingerprint and
            dimension the store takes what an existing file says and creates none, so that operators can list,
            forget and count without the model; it then also opens a file that may only be read, where SQLite can.
        promote_at: Users with more memories than this are searched through an HNSW graph.
        cache_bytes: Most memory that snapshots of users take, roughly.
        busy_timeout_ms: How long a write waits for another process's.
        synchronous: ``full``: an acknowledged write survives power loss; ``normal``: it survives a crash of the
            process; ``off``: the same, and power loss may corrupt the file.
        readers: How many searches run at once.

    Raises:
        InvalidRequest: An argument is outside its range, or only one of dimension and fingerprint is given.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        dimension: int | None = None,
        fingerprint: str | None = None,
        promote_at: int = 20_000,
        cache_bytes: int = _DEFAULT_CACHE_BYTES,
        busy_timeout_ms: int = 5000,
        synchronous: str = "full",
        readers: int = 2,
    ) -> None:
        if str(path) in {"", ":memory:"}:
            raise InvalidRequest("the embedded store needs the path of a file", field="path")
        layout = _layout(dimension, fingerprint)
        check_limit(readers, "readers")
        for field, value in (
            ("promote_at", promote_at),
            ("cache_bytes", cache_bytes),
            ("busy_timeout_ms", busy_timeout_ms),
        ):
            if value < 0:
                raise InvalidRequest(f"{field} must not be negative", field=field)
        if synchronous not in _SYNCHRONOUS:
            raise InvalidRequest(f"synchronous must be one of {', '.join(_SYNCHRONOUS)}", field="synchronous")
        self._path = Path(path)
        self._dimension = dimension
        self._open_engine = partial(
            Engine,
            self._path,
            layout=layout,
            promote_at=promote_at,
            cache_bytes=cache_bytes,
            busy_timeout_ms=busy_timeout_ms,
            synchronous=synchronous,
            readers=readers,
        )
        self._settings = Settings(layout, promote_at, busy_timeout_ms, synchronous)
        self._engine: Engine | None = None
        self._opening = asyncio.Lock()
        self._closing: asyncio.Future[None] | None = None

    @property
    def name(self) -> str:
        """``embedded``."""
        return BACKEND

    @property
    def epoch_is_inline(self) -> bool:
        """True: it is read from a page in memory."""
        return True

    @property
    def index_progress(self) -> float:
        """1: what is stored can be found."""
        return 1.0

    async def open(self) -> None:
        """See `MemoryStore.open`. Idempotent; one that failed may be tried again.

        Raises:
            BackendRejected: Also when there is no database and the store was given no dimension to make one for.
        """
        async with self._opening:
            if self._closing is not None:
                raise self._unusable("open", "closed")
            if self._engine is not None:
                return
            opening = asyncio.get_running_loop().run_in_executor(None, self._open_engine)
            try:
                self._engine = await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_close_unwanted)
                raise

    async def close(self) -> None:
        """See `MemoryStore.close`. Waits for what is under way and empties the write-ahead log.

        A log that cannot be emptied (full disk, another process) is left for the next open to read.
        """
        async with self._opening:
            if self._closing is None:
                engine, loop = self._engine, asyncio.get_running_loop()
                self._engine = None
                self._closing = loop.run_in_executor(None, engine.close) if engine else _done(loop)
        await asyncio.shield(self._closing)

    async def epoch(self, scope: Scope) -> str:
        """See `MemoryStore.epoch`. Runs on the event loop, for it takes less time than a change of threads."""
        return await self._usable("epoch").connections.read_inline("epoch", partial(find_epoch, scope=scope))

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """See `MemoryStore.statistics`."""
        check_ids(stems, "stems")
        return await self._read("statistics", partial(self._usable("statistics").statistics, scope=scope, stems=stems))

    async def candidates(self, query: CandidateQuery, *, within: float | None = None) -> CandidateSet:
        """See `MemoryStore.candidates`. A search here is short and runs to its end, whatever `within` says."""
        check_query(query, self._components("candidates"))
        return await self._usable("candidates").candidates(query)

    async def add(self, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
        """See `MemoryStore.add`."""
        batch = tuple(writes)
        check_writes(scope, batch, self._components("add"))
        if not batch:
            return []
        return await self._write("add", scope, partial(changes.add, scope=scope, writes=batch))

    async def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """See `MemoryStore.get`."""
        check_ids([id])
        return await self._read("get", partial(reads.get, scope=scope, id=id))

    async def contains(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        """See `MemoryStore.contains`."""
        check_ids(ids)
        return await self._read("contains", partial(reads.contains, scope=scope, ids=tuple(ids)))

    async def list(
        self,
        scope: Scope,
        *,
        types: frozenset[MemoryType] = frozenset(),
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """See `MemoryStore.list`."""
        check_types(types)
        check_limit(limit)
        after = None if cursor is None else decode_cursor(scope, cursor)
        return await self._read("list", partial(reads.page, scope=scope, types=types, limit=limit, after=after))

    async def update(self, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
        """See `MemoryStore.update`."""
        check_ids([id], "id")
        check_change(change, self._components("update"))
        return await self._write("update", scope, partial(changes.update, scope=scope, id=id, change=change))

    async def forget(self, scope: Scope, ids: Sequence[str]) -> int:
        """See `MemoryStore.forget`."""
        check_ids(ids)
        return await self._write("forget", scope, partial(changes.forget, scope=scope, ids=tuple(ids)))

    async def forget_scope(
        self, scope: Scope, *, types: frozenset[MemoryType] = frozenset(), older_than: datetime | None = None
    ) -> int:
        """See `MemoryStore.forget_scope`."""
        check_types(types)
        if older_than is not None:
            check_moment(older_than, "older_than")
        work = partial(changes.forget_batch, scope=scope, types=types, older_than=older_than, batch=_FORGET_BATCH)
        total = 0
        while deleted := await self._write("forget_scope", scope, work):
            total += deleted
            if deleted < _FORGET_BATCH:
                break
        return total

    async def count(self, scope: Scope, *, types: frozenset[MemoryType] = frozenset()) -> int:
        """See `MemoryStore.count`."""
        check_types(types)
        return await self._read("count", partial(reads.count, scope=scope, types=types))

    async def touch(self, scope: Scope, ids: Sequence[str], at: datetime) -> None:
        """See `MemoryStore.touch`."""
        check_ids(ids)
        check_moment(at, "at")
        await self._write("touch", scope, partial(changes.touch, scope=scope, ids=tuple(ids), at=at))

    async def users(self) -> AsyncIterator[str]:
        """See `MemoryStore.users`."""
        behind = 0
        while found := await self._read("users", partial(reads.users, behind=behind, limit=_USERS_READ)):
            for _, user_id in found:
                yield user_id
            behind = found[-1][0]

    async def stats(self) -> StoreStats:
        """See `MemoryStore.stats`. Checks the structure of the whole file, so it takes its time on a large one.

        Raises:
            BackendRejected: The file is damaged.
        """
        engine = self._usable("stats")
        return await engine.connections.search("stats", engine.stats)

    async def examine(self, *, planned: int | None = None) -> tuple[Finding, ...]:
        """See `MemoryStore.examine`. Reads the whole file, so it takes its time on a large one."""
        if planned is not None:
            check_integer(planned, "planned")
            if planned < 1:
                raise InvalidRequest("planned must be at least 1", field="planned")
        return await asyncio.to_thread(examine, self._path, self._settings, planned)

    async def settle(self) -> None:
        """Waits until the index work begun so far is done; for operators and tests."""
        for work in self._usable("settle").builder.pending():
            await asyncio.wrap_future(work)

    def _unusable(self, operation: str, why: str) -> BackendUnavailable:
        return BackendUnavailable(f"{self._path}: the store is {why}", backend=BACKEND, operation=operation)

    def _components(self, operation: str) -> int:
        """Of a vector: as configured, or as the open file says."""
        return self._usable(operation).layout.dimension if self._dimension is None else self._dimension

    def _usable(self, operation: str) -> Engine:
        if self._engine is None:
            raise self._unusable(operation, "not open" if self._closing is None else "closed")
        return self._engine

    async def _read(self, operation: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await self._usable(operation).connections.read(operation, work)

    async def _write(self, operation: str, scope: Scope, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await self._usable(operation).write(operation, scope, work)


def _layout(dimension: int | None, fingerprint: str | None) -> Layout | None:
    """What a file is to hold; ``None`` for what an existing one does.

    Raises:
        InvalidRequest: Only one of them is given, or the dimension is out of range.
    """
    check_layout(dimension, fingerprint)
    return None if dimension is None or fingerprint is None else Layout(dimension, fingerprint)


def _done(loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    future: asyncio.Future[None] = loop.create_future()
    future.set_result(None)
    return future


def _close_unwanted(opening: asyncio.Future[Engine]) -> None:
    """Closes an engine whose opener was cancelled."""
    if not opening.cancelled() and opening.exception() is None:
        opening.get_loop().run_in_executor(None, opening.result().close)
