"""Builds and opens HNSW graphs in the background, so that neither searches nor writes wait for one."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from cachetools import LRUCache

from router_memory.backends.embedded.connection import Connections, transaction
from router_memory.backends.embedded.graph import Graph
from router_memory.backends.embedded.hnsw import GraphFiles
from router_memory.backends.embedded.owners import UserState, find_user
from router_memory.backends.embedded.records import decode_vectors
from router_memory.backends.embedded.translate import translating
from router_memory.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from router_memory.types import Scope

__all__ = ["GraphBuilder", "is_due"]

_log = logging.getLogger("router_memory.embedded")

_CHUNK = 2_048
"""Vectors added in one call: enough for all threads, and about half a second that closing may have to wait."""
_GROWTH = 2
"""A graph that takes long to make is announced whenever it has grown so many times: searches scan the rest."""
_PATIENT_PRIORITY = 10
_MOST_DEAD = 0.10
_LEAST_TAIL, _MOST_TAIL = 1_000, 10_000
_SMALL_TAIL, _TAIL_SHARE, _LARGE_TAIL_SHARE = 5_000, 20, 100
_OPEN_GRAPHS = 256
_RETRY_SECONDS = 60.0
_MOST_RETRY_SECONDS = 3_600.0


class _Failure(NamedTuple):
    """The builds of a user's graph that failed one after the other."""

    times: int
    until: float
    """Before this monotonic time there is no other attempt."""


def _dead_share(state: UserState) -> float:
    """At most this share of the graph's rows is deleted."""
    newer = state.last_vector - state.index_watermark
    return 1.0 - (state.vectors - newer) / max(1, state.index_rows)


def _tail_limit(state: UserState) -> int:
    """How many vectors may be newer than the graph before they are put into it.

    Every search looks at all of these, and putting them in writes the whole file anew: of 1,000,000 it is a gigabyte.
    """
    few = min(_SMALL_TAIL, state.index_rows // _TAIL_SHARE)
    return max(_LEAST_TAIL, few, min(_MOST_TAIL, state.index_rows // _LARGE_TAIL_SHARE))


def is_due(state: UserState) -> bool:
    """Whether the user's graph is missing or behind."""
    newer = state.last_vector - state.index_watermark
    return state.index_checksum is None or newer > _tail_limit(state) or _dead_share(state) > _MOST_DEAD


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_THREADS = _processors()


def _stand_back() -> None:
    """Gives this thread, and those that usearch starts from it, a low priority where the system has one of threads.

    So they may be as many as there are processors: they take what searches leave.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PATIENT_PRIORITY)


class GraphBuilder:
    """One background thread that keeps the graphs of users past `promote_at` memories.

    Args:
        connections: Where a finished graph is announced.
        reader: The builder's own read-only connection.
        files: The folder of graphs.
        promote_at: Users with more memories than this get a graph.
        dimension: Of the vectors.
    """

    def __init__(
        self,
        connections: Connections,
        reader: sqlite3.Connection,
        files: GraphFiles,
        *,
        promote_at: int,
        dimension: int,
    ) -> None:
        self.promote_at = promote_at
        self._connections = connections
        self._reader = reader
        self._files = files
        self._dimension = dimension
        self._graphs: LRUCache[int, Graph] = LRUCache(_OPEN_GRAPHS)
        self._pending: dict[str, Future[None]] = {}
        self._failed: dict[str, _Failure] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="memory-index", initializer=_stand_back)

    @property
    def open_graphs(self) -> int:
        """How many graphs are ready to be searched."""
        return len(self._graphs)

    def graph(self, scope: Scope, state: UserState) -> Graph | None:
        """The user's graph if one is ready; what is missing or behind is begun in the background."""
        with self._lock:
            graph: Graph | None = self._graphs.get(state.key)
        if graph is None or graph.checksum != state.index_checksum or is_due(state):
            self.request(scope)
        return graph

    def request(self, scope: Scope) -> None:
        """Begins to bring the user's graph up to date, unless that is under way or has just failed."""
        digest = scope.user_digest
        with self._lock:
            failure = self._failed.get(digest)
            recently = failure is not None and time.monotonic() < failure.until
            if digest in self._pending or recently or self._stop.is_set():
                return
            self._pending[digest] = self._thread.submit(self._refresh, scope)

    def forget(self, scope: Scope) -> None:
        """Deletes the files of a user who has no memories left."""
        self._files.keep_only(scope.user_digest, None)

    def sweep(self) -> None:
        """Begins to delete files of earlier runs that no user needs. It looks at all users, so nobody waits for it."""
        if self._files.exist():
            with self._lock:  # it may end before its future is noted
                self._pending[""] = self._thread.submit(self._sweep)

    def _sweep(self) -> None:
        try:
            rows = self._reader.execute("SELECT digest, index_checksum FROM users WHERE index_checksum IS NOT NULL")
            self._files.sweep({f"{digest.hex()}-{checksum}" for digest, checksum in rows})
        except (sqlite3.Error, OSError) as error:
            _log.warning("index files of earlier runs were not looked for: %s", error)
        finally:
            with self._lock:
                self._pending.pop("", None)

    def pending(self) -> list[Future[None]]:
        """The work under way."""
        with self._lock:
            return list(self._pending.values())

    def close(self) -> None:
        """Stops after the chunk under way; an unfinished graph is dropped."""
        with self._lock:  # a request under way is either cancelled below or refused
            self._stop.set()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._reader.close()
        self._graphs.clear()

    def _refresh(self, scope: Scope) -> None:
        digest = scope.user_digest
        try:
            with translating("index", self._connections.path):
                self._bring_up_to_date(scope, digest)
            with self._lock:
                self._failed.pop(digest, None)
        except BackendError as error:
            if self._fails_first(digest):
                _log.warning("an HNSW index could not be built, searches stay exact: %s", error)
        except Exception:  # noqa: BLE001 - on this thread nobody else would hear of it
            if self._fails_first(digest):
                _log.exception("an HNSW index could not be built, searches stay exact; this is a defect")
        finally:
            with self._lock:
                self._pending.pop(digest, None)

    def _fails_first(self, digest: str) -> bool:
        """Puts the next attempt off, each time for longer. Whether the one before this had not failed."""
        with self._lock:
            before = self._failed.get(digest)
            times = 1 if before is None else before.times + 1
            pause = min(_MOST_RETRY_SECONDS, _RETRY_SECONDS * 2 ** min(times - 1, 10))
            self._failed[digest] = _Failure(times, time.monotonic() + pause)
        return before is None

    def _bring_up_to_date(self, scope: Scope, digest: str) -> None:
        state = find_user(self._reader, scope)
        if state is None or state.documents <= self.promote_at:
            return
        served = self._serve(digest, state)
        if served is not None and not is_due(state):
            return
        graph: Graph | None = None
        if served is not None and not served.outgrown and _dead_share(state) <= _MOST_DEAD:
            graph = self._files.read(digest, served.checksum, served.watermark, writable=True)
        self._build(digest, state, graph or Graph(self._dimension), served)

    def _serve(self, digest: str, state: UserState) -> Graph | None:
        """Has searches use the graph that is announced, also while a newer one is made; ``None`` without one."""
        if state.index_checksum is None:
            return None
        with self._lock:
            graph: Graph | None = self._graphs.get(state.key)
        if graph is None or graph.checksum != state.index_checksum:
            graph = self._files.read(digest, state.index_checksum, state.index_watermark, writable=False)
            if graph is not None:
                self._install(state.key, graph)
        return graph

    def _build(self, digest: str, state: UserState, graph: Graph, served: Graph | None) -> None:
        """Adds what is newer than the graph, chunk by chunk in transactions of their own, and announces it.

        What is not whole yet is announced where it holds twice what searches use meanwhile.
        """
        announced = max(len(graph), self.promote_at, 0 if served is None else len(served))
        replaced = state.index_checksum
        while graph.watermark < state.last_vector:
            if self._stop.is_set():
                return
            numbers, matrix = self._chunk(state, graph.watermark)
            graph.add(numbers, matrix, threads=_THREADS)
            graph.watermark = int(numbers[-1]) if len(numbers) else state.last_vector
            if len(graph) >= _GROWTH * announced and graph.watermark < state.last_vector:
                announced = len(graph)
                replaced = self._announce(digest, state.key, graph, replaced)
                if replaced is None:
                    return
        self._announce(digest, state.key, graph, replaced)

    def _announce(self, digest: str, user: int, graph: Graph, replaced: str | None) -> str | None:
        """Writes the graph to a file, and has searches use it.

        Args:
            digest: Of the user.
            user: The user's key.
            graph: What is written.
            replaced: Checksum of the graph it takes the place of; ``None`` for the first.

        Returns:
            Its checksum, ``None`` when the user is gone or another process has announced one that holds more.
        """
        checksum = self._files.write(digest, graph)
        publish = self._publication(digest, user, graph, checksum, replaced)
        if not self._connections.submit_write("index", publish).result():
            return None
        finished = self._files.read(digest, checksum, graph.watermark, writable=False)
        if finished is not None:
            self._install(user, finished)
        return checksum

    def _chunk(self, state: UserState, after: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with transaction(self._reader):
            rows = self._reader.execute(
                "SELECT number, vector FROM vectors WHERE user = ? AND number BETWEEN ? + 1 AND ? "
                "ORDER BY number LIMIT ?",
                (state.key, after, state.last_vector, _CHUNK),
            ).fetchall()
        matrix = decode_vectors([row[1] for row in rows], self._dimension)
        return np.fromiter((row[0] for row in rows), np.int64, len(rows)), matrix

    def _publication(
        self, digest: str, user: int, graph: Graph, checksum: str, replaced: str | None
    ) -> Callable[[sqlite3.Connection], bool]:
        path = self._files.path(digest, checksum)

        def publish(connection: sqlite3.Connection) -> bool:
            changed = (
                path.exists()
                and connection.execute(  # another process deletes what is not announced yet
                    "UPDATE users SET index_checksum = ?1, index_watermark = ?2, index_rows = ?3 "
                    "WHERE key = ?4 AND (index_checksum IS ?5 OR index_watermark <= ?2)",
                    (checksum, graph.watermark, len(graph), user, replaced),
                ).rowcount
            )
            found = connection.execute("SELECT index_checksum FROM users WHERE digest = ?", (bytes.fromhex(digest),))
            self._files.keep_only(digest, next((row[0] for row in found), None))
            return changed == 1

        return publish

    def _install(self, user: int, graph: Graph) -> None:
        with self._lock:
            self._graphs[user] = graph
