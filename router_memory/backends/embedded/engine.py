"""The open file: connections, snapshots and graphs, and the searches that need all three."""

from __future__ import annotations

import logging
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from router_memory.backends.embedded.builder import GraphBuilder, is_due
from router_memory.backends.embedded.connection import Connections, connect, transaction, use_wal
from router_memory.backends.embedded.exact import search_snapshot
from router_memory.backends.embedded.hnsw import GraphFiles
from router_memory.backends.embedded.large import search_database
from router_memory.backends.embedded.owners import UserState, find_project, find_user
from router_memory.backends.embedded.postings import document_frequencies, records_holding
from router_memory.backends.embedded.schema import Layout, page_size, prepare
from router_memory.backends.embedded.snapshots import Snapshots
from router_memory.backends.embedded.translate import BACKEND, translating
from router_memory.errors import BackendRejected
from router_memory.types import CandidateQuery, CandidateSet, LexicalStatistics, Scope, StoreStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Engine"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_NOTHING = CandidateSet(epoch="", candidates=())


class Engine:
    """Everything that exists only while the store is open. Its methods block; they run on the store's threads.

    Args: as of `EmbeddedStore`.

    Raises:
        IndexMismatch: The file was written with another dimension or embedder.
        BackendTimeout: Another process keeps the file locked.
        BackendRejected: The file is not ours, corrupt, of another schema, or not writable.
    """

    def __init__(
        self,
        path: Path,
        *,
        dimension: int,
        fingerprint: str,
        promote_at: int,
        cache_bytes: int,
        busy_timeout_ms: int,
        synchronous: str,
        readers: int,
    ) -> None:
        self._path = path
        self._layout = Layout(dimension, fingerprint)
        self._snapshots = Snapshots(cache_bytes, dimension)
        self._files = GraphFiles(path, dimension)
        with translating("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            opened: list[sqlite3.Connection] = []
            try:
                writer = connect(path, read_only=False, busy_timeout_ms=busy_timeout_ms, synchronous=synchronous)
                opened.append(writer)
                self._begin(writer, busy_timeout_ms)
                opened.extend(
                    connect(path, read_only=True, busy_timeout_ms=busy_timeout_ms) for _ in range(readers + 1)
                )
                self.connections = Connections(writer, opened[1:-1])
                self.builder = GraphBuilder(
                    self.connections, opened[-1], self._files, promote_at=promote_at, dimension=dimension
                )
                self.builder.sweep(writer)
            except BaseException:
                for connection in opened:
                    connection.close()
                raise

    def _begin(self, writer: sqlite3.Connection, busy_timeout_ms: int) -> None:
        location = str(self._path)
        if self._path.stat().st_size == 0:
            writer.execute(f"PRAGMA page_size = {page_size(self._layout.dimension)}")
        else:
            prepare(writer, self._layout, location)  # before the file is touched in any way
        mode = use_wal(writer, busy_timeout_ms=busy_timeout_ms)
        if mode != "wal":
            raise BackendRejected(
                f"{location} cannot use write-ahead logging (journal mode {mode})",
                backend=BACKEND,
                operation="open",
                hint="put the file on a local disk",
            )
        prepare(writer, self._layout, location)

    def close(self) -> None:
        """Stops the index work, finishes calls under way and closes the file."""
        self.builder.close()
        self._snapshots.drop()
        with translating("close"):
            self.connections.close()

    def statistics(self, connection: sqlite3.Connection, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """See `MemoryStore.statistics`."""
        with transaction(connection):
            state = find_user(connection, scope)
            if state is None:
                return LexicalStatistics("", 0, 0, {})
            frequency = document_frequencies(connection, state.key, stems)
        return LexicalStatistics(state.epoch, state.documents, state.length_sum, frequency)

    def candidates(self, connection: sqlite3.Connection, query: CandidateQuery) -> CandidateSet:
        """See `MemoryStore.candidates`."""
        with self._snapshots.lock(query.scope.user_digest), transaction(connection):
            state = find_user(connection, query.scope)
            if state is None:
                return _NOTHING
            large = self._is_large(state)
            if not large:
                snapshot = self._snapshots.current(connection, state)
                project = find_project(connection, query.scope, state.key)
                holding = records_holding(connection, state.key, query.stems)
        return self._large(connection, query) if large else search_snapshot(snapshot, query, project, holding)

    def _is_large(self, state: UserState) -> bool:
        return state.documents > self.builder.promote_at or not self._snapshots.fits(state)

    def _large(self, connection: sqlite3.Connection, query: CandidateQuery) -> CandidateSet:
        with transaction(connection):
            state = find_user(connection, query.scope)
            if state is None:
                return _NOTHING
            promoted = state.documents > self.builder.promote_at
            graph = self.builder.graph(query.scope, state) if promoted else None
            return search_database(connection, state, query, graph)

    async def write(self, operation: str, scope: Scope, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """The result of a write transaction of one user, whose graph is seen to once it is committed."""
        return await self.connections.write(operation, work, after=partial(self._look_after_graph, scope=scope))

    def _look_after_graph(self, connection: sqlite3.Connection, scope: Scope) -> None:
        """Begins index work that a write has made due. The write is durable: nothing here may fail it."""
        try:
            state = find_user(connection, scope)
            if state is None:
                self.builder.forget(scope)
            elif state.documents > self.builder.promote_at and is_due(state):
                self.builder.request(scope)
        except (sqlite3.Error, OSError) as error:
            _log.warning("an HNSW index was not seen to after a write: %s", error)

    def stats(self, connection: sqlite3.Connection) -> StoreStats:
        """See `MemoryStore.stats`."""
        with transaction(connection):
            users, memories, vectors, graphs = connection.execute(
                "SELECT count(*), coalesce(sum(documents), 0), coalesce(sum(vectors), 0), count(index_checksum) "
                "FROM users"
            ).fetchone()
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        database, log, index = self._path.stat().st_size, self._log_bytes(), self._files.bytes()
        return StoreStats(
            backend=BACKEND,
            location=str(self._path),
            memories=memories,
            users=users,
            bytes=database + log + index,
            fingerprint=self._layout.fingerprint,
            dimension=self._layout.dimension,
            details={
                "sqlite": sqlite3.sqlite_version,
                "vectors": vectors,
                "pages": pages,
                "page_bytes": page_bytes,
                "free_pages": free,
                "wal_bytes": log,
                "hnsw_users": graphs,
                "hnsw_open": self.builder.open_graphs,
                "hnsw_bytes": index,
                "snapshot_bytes": self._snapshots.bytes,
            },
        )

    def _log_bytes(self) -> int:
        log = self._path.with_name(self._path.name + "-wal")
        return log.stat().st_size if log.exists() else 0
