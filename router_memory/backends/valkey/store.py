"""The Valkey store: memories as hashes, found through Valkey Search."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from router_memory.backends.valkey.decoded import DECODED_BYTES, Decoded
from router_memory.backends.valkey.examine import Examination
from router_memory.backends.valkey.index import MainIndex
from router_memory.backends.valkey.promotion import Promotions
from router_memory.backends.valkey.reads import Reader
from router_memory.backends.valkey.schema import METRICS, Layout, Shape
from router_memory.backends.valkey.search import Searcher
from router_memory.backends.valkey.totals import totals
from router_memory.backends.valkey.translate import BACKEND
from router_memory.backends.valkey.writes import Writer
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
from router_memory.types.names import name_fault, prefix_fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from router_memory.backends.valkey.connection import Connection
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

__all__ = ["ValkeyStore"]

_log = logging.getLogger("router_memory.valkey")

_INDEX_TYPES = ("flat", "hnsw")
_ALMOST = 0.99  # the server says 1 before its last writes are in


class ValkeyStore:
    """Memories on a Valkey server or cluster with the Search module; implements `MemoryStore`.

    The server is the only truth; what this object remembers of it only saves round trips. A server that is away when
    the store opens is no error: calls fail until it is there. Many processes may use one server.

    Of a call that adds or deletes many memories each memory is an atomic step of its own with its statistics and the
    epoch, so that the server is never held up; one that fails half way can be repeated.

    Args:
        connection: The server, not opened yet. The store opens and closes it.
        dimension: Of the vectors.
        fingerprint: Of the embedder; data written with another one are refused. Without fingerprint and dimension
            the store takes what the server says and creates nothing, so that operators need no model.
        prefix: What every key starts with. Not to be shared with anything else.
        index_name: Of the index over everything.
        index_type: ``flat`` searches each user's memories exactly; ``hnsw`` keeps one graph over everybody's.
        metric: ``COSINE``, ``L2`` or ``IP``; cosines come out the same.
        m, ef_construction, ef_runtime: Of HNSW graphs.
        promote_at: A user with more vectors than this gets an HNSW graph of the user's own (with ``flat``).
        max_promoted: How many such graphs there may be.
        decoded_bytes: What memories may take in this process that searches have decoded; 0 keeps none of them.

    Raises:
        InvalidRequest: An argument is outside its range, or only one of dimension and fingerprint is given.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        dimension: int | None = None,
        fingerprint: str | None = None,
        prefix: str = "mem:",
        index_name: str = "mem_idx",
        index_type: str = "flat",
        metric: str = "COSINE",
        m: int = 16,
        ef_construction: int = 256,
        ef_runtime: int = 200,
        promote_at: int = 5_000,
        max_promoted: int = 64,
        decoded_bytes: int = DECODED_BYTES,
    ) -> None:
        self._connection = connection
        _check_name(prefix, prefix_fault(prefix), "prefix")
        _check_name(index_name, name_fault(index_name), "index_name")
        _check_choice(index_type, _INDEX_TYPES, "index_type")
        _check_choice(metric, METRICS, "metric")
        for field, value in (("m", m), ("ef_construction", ef_construction), ("ef_runtime", ef_runtime)):
            check_limit(value, field)
        counts = (("promote_at", promote_at), ("max_promoted", max_promoted), ("decoded_bytes", decoded_bytes))
        for field, value in counts:
            if value < 0:
                raise InvalidRequest(f"{field} must not be negative", field=field)
        self._wanted = _layout(dimension, fingerprint)
        shape = Shape(index_type=index_type, metric=metric, m=m, ef_construction=ef_construction, ef_runtime=ef_runtime)
        self._index = MainIndex(connection, name=index_name, prefix=prefix, layout=self._wanted, shape=shape)
        self._promotions = Promotions(
            connection,
            index_name=index_name,
            shape=shape,
            dimension=lambda: self._components("promote"),
            promote_at=promote_at,
            most=max_promoted,
        )
        self._reader = Reader(connection, prefix)
        self._writer = Writer(connection, self._index, self._promotions, self._reader)
        self._searcher = Searcher(connection, self._index, self._promotions, Decoded(decoded_bytes))
        self._open = False
        self._closed = False

    @property
    def name(self) -> str:
        """``valkey``."""
        return BACKEND

    @property
    def epoch_is_inline(self) -> bool:
        """False: it is a round trip."""
        return False

    @property
    def index_progress(self) -> float:
        """See `MemoryStore.index_progress`."""
        return 1.0 if self._index.ready else min(self._index.progress, _ALMOST)

    async def open(self) -> None:
        """See `MemoryStore.open`. Idempotent.

        A server that cannot be reached is only logged, unless the store has to ask it what the data are.

        Raises:
            IndexMismatch: The data or the index there are others than configured.
            BackendRejected: No Search module, wrong password, missing rights.
            BackendUnavailable: The store is closed; or the server is away and the store was given no fingerprint.
        """
        if self._closed:
            raise self._unusable("open", "closed")
        if self._open:
            return
        await self._connection.open()
        self._open = True
        try:
            await self._index.ensure("open")
        except BackendUnavailable as error:
            if self._wanted is None:
                raise
            _log.warning("starting without the server: %s", error)

    async def close(self) -> None:
        """See `MemoryStore.close`. Ends what is under way."""
        self._closed = True
        await self._promotions.close()
        await self._index.close()
        await self._connection.close()

    async def epoch(self, scope: Scope) -> str:
        """See `MemoryStore.epoch`."""
        self._require_usable("epoch")
        await self._index.ensure("epoch")
        return await self._reader.epoch(scope)

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """See `MemoryStore.statistics`."""
        check_ids(stems, "stems")
        self._require_usable("statistics")
        await self._index.ensure("statistics")
        return await self._reader.statistics(scope, stems)

    async def candidates(self, query: CandidateQuery, *, within: float | None = None) -> CandidateSet:
        """See `MemoryStore.candidates`."""
        self._require_usable("candidates")
        seconds = self._connection.timeout if within is None else min(within, self._connection.timeout)
        deadline = monotonic() + seconds
        await self._index.ensure("candidates", within=seconds)
        check_query(query, self._components("candidates"))
        return await self._searcher.candidates(query, deadline)

    async def add(self, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
        """See `MemoryStore.add`."""
        batch = tuple(writes)
        self._require_usable("add")
        if self._index.layout is None:  # what a vector must be is the server's word
            await self._index.ensure("add")
        check_writes(scope, batch, self._components("add"))
        await self._index.ensure("add")
        return await self._writer.add(scope, batch) if batch else []

    async def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """See `MemoryStore.get`."""
        check_ids([id])
        self._require_usable("get")
        await self._index.ensure("get")
        return await self._reader.get(scope, id)

    async def contains(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        """See `MemoryStore.contains`."""
        check_ids(ids)
        self._require_usable("contains")
        await self._index.ensure("contains")
        return await self._reader.contains(scope, ids)

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
        self._require_usable("list")
        await self._index.ensure("list")
        return await self._reader.page(scope, types, limit, after)

    async def update(self, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
        """See `MemoryStore.update`."""
        check_ids([id], "id")
        self._require_usable("update")
        await self._index.ensure("update")
        check_change(change, self._components("update"))
        try:
            return await self._writer.update(scope, id, change)
        finally:
            if change.content is not None:
                self._searcher.let_go(scope)

    async def forget(self, scope: Scope, ids: Sequence[str]) -> int:
        """See `MemoryStore.forget`."""
        check_ids(ids)
        self._require_usable("forget")
        await self._index.ensure("forget")
        try:
            return await self._writer.forget(scope, ids)
        finally:
            self._searcher.let_go(scope)

    async def forget_scope(
        self, scope: Scope, *, types: frozenset[MemoryType] = frozenset(), older_than: datetime | None = None
    ) -> int:
        """See `MemoryStore.forget_scope`."""
        check_types(types)
        if older_than is not None:
            check_moment(older_than, "older_than")
        self._require_usable("forget_scope")
        await self._index.ensure("forget_scope")
        try:
            return await self._writer.forget_scope(scope, types, older_than)
        finally:
            self._searcher.let_go(scope)

    async def count(self, scope: Scope, *, types: frozenset[MemoryType] = frozenset()) -> int:
        """See `MemoryStore.count`."""
        check_types(types)
        self._require_usable("count")
        await self._index.ensure("count")
        return await self._reader.count(scope, types)

    async def touch(self, scope: Scope, ids: Sequence[str], at: datetime) -> None:
        """See `MemoryStore.touch`."""
        check_ids(ids)
        check_moment(at, "at")
        self._require_usable("touch")
        await self._index.ensure("touch")
        await self._writer.touch(scope, ids, at)

    async def users(self) -> AsyncIterator[str]:
        """See `MemoryStore.users`."""
        self._require_usable("users")
        await self._index.ensure("users")
        async for user_id in self._reader.users():
            yield user_id

    async def stats(self) -> StoreStats:
        """See `MemoryStore.stats`. Walks over all users, so it takes its time on a large server."""
        self._require_usable("stats")
        await self._index.ensure("stats")
        return await totals(self._connection, self._index, self._promotions)

    async def examine(self, *, planned: int | None = None) -> tuple[Finding, ...]:
        """See `MemoryStore.examine`."""
        if self._closed:
            raise self._unusable("examine", "closed")
        await self._connection.open()
        shape, wanted = self._index.shape, self._wanted
        return await Examination(self._connection, self._index, self._promotions, wanted, shape).findings(planned)

    async def settle(self) -> None:
        """Waits until the index work begun so far is done; for operators and tests."""
        await self._promotions.settle()

    def _require_usable(self, operation: str) -> None:
        """Refuses what comes before `open` and after `close`."""
        if not self._open or self._closed:
            raise self._unusable(operation, "closed" if self._closed else "not open")

    def _components(self, operation: str) -> int:
        """Of a vector: as configured, or as the server says."""
        layout = self._index.layout
        if layout is None:
            raise self._unusable(operation, "not open")
        return layout.dimension

    def _unusable(self, operation: str, why: str) -> BackendUnavailable:
        return BackendUnavailable(
            f"{self._connection.location}: the store is {why}", backend=BACKEND, operation=operation
        )


def _check_name(name: str, fault: str, field: str) -> None:
    if fault:
        raise InvalidRequest(f"{field} {name!r} {fault}", field=field)


def _check_choice(value: str, choices: Sequence[str], field: str) -> None:
    if value not in choices:
        raise InvalidRequest(f"{field} must be one of {', '.join(choices)}", field=field)


def _layout(dimension: int | None, fingerprint: str | None) -> Layout | None:
    """What the data are to be; ``None`` for what the server says they are.

    Raises:
        InvalidRequest: Only one of them is given, or the dimension is out of range.
    """
    check_layout(dimension, fingerprint)
    return None if dimension is None or fingerprint is None else Layout(dimension, fingerprint)
