"""The open file: connections, snapshots and graphs, and the searches that need all three."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from router_memory.backends.embedded.builder import GraphBuilder, is_due
from router_memory.backends.embedded.connection import Connections, connect, require_writable, transaction, use_wal
from router_memory.backends.embedded.exact import search_snapshot
from router_memory.backends.embedded.hnsw import GraphFiles
from router_memory.backends.embedded.kinds import Kinds
from router_memory.backends.embedded.large import TakesLong, search_database
from router_memory.backends.embedded.owners import UserState, find_project, find_user
from router_memory.backends.embedded.postings import document_frequencies, records_holding
from router_memory.backends.embedded.schema import Layout, adopt, no_database, page_size, prepare
from router_memory.backends.embedded.snapshots import Snapshots
from router_memory.backends.embedded.translate import BACKEND, damaged, translating
from router_memory.errors import BackendRejected
from router_memory.types import CandidateQuery, CandidateSet, LexicalStatistics, Scope, StoreStats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Engine"]

_T = TypeVar("_T")

_log = logging.getLogger("router_memory.embedded")

_NOTHING = CandidateSet(epoch="", candidates=())
_LOOKUPS = 2
_CREATING = threading.Lock()


class Engine:
    """Everything that exists only while the store is open. Its methods block; they run on the store's threads.

    Args: as of `EmbeddedStore`, but
        layout: What the file is to hold; ``None`` for what an existing one does.

    Raises:
        IndexMismatch: The file was written with another dimension or embedder.
        BackendTimeout: Another process keeps the file locked.
        BackendRejected: The file is not ours, corrupt, of another schema, or not writable.
    """

    def __init__(
        self,
        path: Path,
        *,
        layout: Layout | None,
        promote_at: int,
        cache_bytes: int,
        busy_timeout_ms: int,
        synchronous: str,
        readers: int,
    ) -> None:
        self._path = path
        with translating("open", path):
            if layout is None and _is_missing(path):
                raise no_database(path)
            if layout is not None:
                _create(path)
            opened: list[sqlite3.Connection] = []
            try:
                writer = connect(
                    path,
                    read_only=False,
                    busy_timeout_ms=busy_timeout_ms,
                    synchronous=synchronous,
                    create=layout is not None,
                )
                opened.append(writer)
                self.layout = self._begin(writer, layout, busy_timeout_ms)
                self._snapshots = Snapshots(cache_bytes, self.layout.dimension)
                self._files = GraphFiles(path, self.layout.dimension)
                opened.extend(
                    connect(path, read_only=True, busy_timeout_ms=busy_timeout_ms)
                    for _ in range(_LOOKUPS + readers + 2)
                )
                _, *reading, inline, building = opened
                self.connections = Connections(path, writer, reading[:_LOOKUPS], reading[_LOOKUPS:], inline)
                self._kinds = Kinds(self.connections)
                self._flights: dict[str, asyncio.Future[CandidateSet | None]] = {}
                self._loads = asyncio.Semaphore(max(1, readers - 1))
                self.builder = GraphBuilder(
                    self.connections,
                    building,
                    self._files,
                    promote_at=promote_at,
                    dimension=self.layout.dimension,
                )
                self.builder.sweep()
            except BaseException:
                for connection in opened:
                    connection.close()
                raise

    def _begin(self, writer: sqlite3.Connection, layout: Layout | None, busy_timeout_ms: int) -> Layout:
        """Checks the file, or makes its tables, and turns on write-ahead logging. What the file holds."""
        path, adopting = self._path, layout is None
        if layout is None:
            layout = adopt(writer, path)  # before the file is touched in any way
        elif path.stat().st_size == 0:
            writer.execute(f"PRAGMA page_size = {page_size(layout.dimension)}")
        else:
            prepare(writer, layout, path)  # likewise
        mode = use_wal(writer, busy_timeout_ms=busy_timeout_ms)
        if mode != "wal":
            raise BackendRejected(
                f"{path} cannot use write-ahead logging (journal mode {mode})",
                backend=BACKEND,
                operation="open",
                hint="put the file on a local disk",
            )
        prepare(writer, layout, path)
        if not adopting:
            require_writable(writer, busy_timeout_ms=busy_timeout_ms)
        return layout

    def close(self) -> None:
        """Stops the index work, finishes calls under way and closes the file."""
        self.builder.close()
        self._snapshots.drop()
        with translating("close", self._path):
            self.connections.close()

    def statistics(self, connection: sqlite3.Connection, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """See `MemoryStore.statistics`."""
        with transaction(connection):
            state = find_user(connection, scope)
            if state is None:
                return LexicalStatistics("", 0, 0, {})
            frequency = document_frequencies(connection, state.key, stems)
        return LexicalStatistics(state.epoch, state.documents, state.length_sum, frequency)

    async def candidates(self, query: CandidateQuery) -> CandidateSet:
        """See `MemoryStore.candidates`.

        What takes long, making a snapshot or looking at very many vectors in the file, is done by one call
        at a time for each user, while the others of that user wait without a reader. Of two readers or more one is
        always left to what takes no time.
        """
        digest = query.scope.user_digest
        search = partial(self.connections.search, "candidates")
        while (found := await search(partial(self._candidates, query=query, patient=False))) is None:
            flight = self._flights.get(digest)
            if flight is not None:
                await asyncio.wait([flight])
                continue
            flight = self._flights[digest] = asyncio.ensure_future(self._patiently(query))
            flight.add_done_callback(partial(self._landed, digest))
            found = await asyncio.shield(flight)  # who is cancelled leaves it to those that wait
            if found is not None:
                break
        return found

    async def _patiently(self, query: CandidateQuery) -> CandidateSet | None:
        async with self._loads:
            return await self.connections.search("candidates", partial(self._candidates, query=query, patient=True))

    def _landed(self, digest: str, flight: asyncio.Future[CandidateSet | None]) -> None:
        del self._flights[digest]
        if not flight.cancelled():
            flight.exception()  # whoever asked for it may be gone

    def _candidates(
        self, connection: sqlite3.Connection, query: CandidateQuery, *, patient: bool
    ) -> CandidateSet | None:
        """The candidates; ``None`` when they take long to find, and this call is not to."""
        with ExitStack() as claimed, transaction(connection):
            alone = claimed.enter_context(self._snapshots.claim(query.scope.user_digest))
            state = find_user(connection, query.scope)
            if state is None:
                return _NOTHING
            if not self._is_large(state):
                snapshot = self._snapshots.current(connection, state, alone=alone, patient=patient)
                if snapshot is None:
                    return None
                claimed.close()
                project = find_project(connection, query.scope, state.key)
                holding = records_holding(connection, state.key, query.stems)
                found = search_snapshot(connection, snapshot, query, project, holding)
                self._snapshots.searched(snapshot)
                return found
        return self._large(connection, query, patient=patient)

    def _is_large(self, state: UserState) -> bool:
        return state.documents > self.builder.promote_at or not self._snapshots.fits(state)

    def _large(self, connection: sqlite3.Connection, query: CandidateQuery, *, patient: bool) -> CandidateSet | None:
        with transaction(connection):
            state = find_user(connection, query.scope)
            if state is None:
                return _NOTHING
            promoted = state.documents > self.builder.promote_at
            graph = self.builder.graph(query.scope, state) if promoted else None
            if query.types or query.scope.project is not None:
                self._kinds.want(connection)
            try:
                return search_database(connection, state, query, graph, patient=patient)
            except TakesLong:
                return None

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
        except Exception:  # noqa: BLE001 - the write is committed whatever happens here
            _log.exception("an HNSW index was not seen to after a write")

    def stats(self, connection: sqlite3.Connection) -> StoreStats:
        """See `MemoryStore.stats`. Reads the whole file to see whether it is damaged."""
        finding = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        if finding != "ok":
            raise damaged(self._path, "stats", " ".join(finding.removeprefix("*** in database main ***").split()))
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
            fingerprint=self.layout.fingerprint,
            dimension=self.layout.dimension,
            details={
                "check": finding,
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
                "snapshot_vectors": self._snapshots.vectors,
            },
        )

    def _log_bytes(self) -> int:
        log = self._path.with_name(self._path.name + "-wal")
        return log.stat().st_size if log.exists() else 0


def _create(path: Path) -> None:
    """Makes the folder and the file if they are missing, for the owner alone; SQLite's other files take after it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _CREATING:  # closing a file drops the locks that this process has on it: nobody may have opened it yet
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            return


def _is_missing(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except (FileNotFoundError, NotADirectoryError):
        return True
