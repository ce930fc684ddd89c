"""Connections to the file: how they are opened, how a transaction is framed, and the threads that own them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from router_memory.backends.embedded.translate import Misfiled, translating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Connections", "connect", "require_writable", "transaction", "use_wal"]

_T = TypeVar("_T")

_log = logging.getLogger("router_memory.embedded")

_CACHED_STATEMENTS = 256
_PAGE_CACHE_KIB = 16_384
_READER_PAGE_CACHE_KIB = 2_048
"""There are several, and what users' searches come back to is in their snapshots and in the system's cache."""
_WAL_BYTES_KEPT = 64 * 1024 * 1024
_WAL_RETRY_SECONDS = 0.02


def connect(
    path: Path, *, read_only: bool, busy_timeout_ms: int, synchronous: str = "full", create: bool = False
) -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are framed by `transaction`.

    Args:
        path: The file.
        read_only: Whether writing is refused.
        busy_timeout_ms: How long a statement waits for another connection's lock.
        synchronous: For the writer: ``full`` syncs the log on every commit, ``normal`` on checkpoints alone.
        create: For the writer: whether the file is created when it is missing.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    mode = "ro" if read_only else "rwc" if create else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,  # a connection moves between the threads of its pool, used by one at a time
        cached_statements=_CACHED_STATEMENTS,
    )
    connection.execute(f"PRAGMA cache_size = -{_READER_PAGE_CACHE_KIB if read_only else _PAGE_CACHE_KIB}")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if not read_only:
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    return connection


def use_wal(connection: sqlite3.Connection, *, busy_timeout_ms: int) -> str:
    """Turns write-ahead logging on; the journal mode that is in force then.

    SQLite does not wait for the lock this takes, so two processes that start together are told
    apart here.
    """
    deadline = time.monotonic() + busy_timeout_ms / 1000
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(_WAL_RETRY_SECONDS)


@contextmanager
def transaction(connection: sqlite3.Connection, begin: str = "BEGIN") -> Iterator[None]:
    """One transaction: committed at the end, rolled back on any exception."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has rolled back on its own when the disk is full
            connection.execute("ROLLBACK")
        raise


def require_writable(connection: sqlite3.Connection, *, busy_timeout_ms: int) -> None:
    """Finds out at once what the first write would run into. Waits for nobody: who holds the lock can write.

    Raises:
        sqlite3.OperationalError: The file may only be read.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("DELETE FROM meta WHERE 0")  # changes nothing, but asks for the lock of a write
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
    connection.execute(f"PRAGMA busy_timeout = {busy_timeout_ms}")


class Connections:
    """One writing thread with its connection, and a few reading ones with theirs.

    What looks something up has readers of its own, so it never waits for a search.

    A caller that is cancelled leaves its work to finish on the thread, so no transaction is cut off.

    Args:
        path: The file, for errors.
        writer: The one connection that writes.
        readers: Read-only ones for `read`; as many look-ups run at once.
        searchers: Read-only ones for `search`; as many searches run at once.
        inline: A read-only one for `read_inline`. From here on it waits for no lock.
    """

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        readers: list[sqlite3.Connection],
        searchers: list[sqlite3.Connection],
        inline: sqlite3.Connection,
    ) -> None:
        self.path = path
        self.writer = writer
        self._inline = inline
        self._inline.execute("PRAGMA busy_timeout = 0")
        self._readers = deque(readers)
        self._searchers = deque(searchers)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="memory-write")
        self._reading = ThreadPoolExecutor(len(readers), thread_name_prefix="memory-read")
        self._searching = ThreadPoolExecutor(len(searchers), thread_name_prefix="memory-search")

    async def write(
        self,
        operation: str,
        work: Callable[[sqlite3.Connection], _T],
        after: Callable[[sqlite3.Connection], None] | None = None,
    ) -> _T:
        """The result of `work` on the writing connection, inside one immediate transaction.

        Args:
            operation: Name of the operation, for errors.
            work: What runs in the transaction.
            after: What runs on the same thread once the transaction is committed.
        """
        return await asyncio.wrap_future(self.submit_write(operation, work, after))

    def submit_write(
        self,
        operation: str,
        work: Callable[[sqlite3.Connection], _T],
        after: Callable[[sqlite3.Connection], None] | None = None,
    ) -> Future[_T]:
        """The same for a thread that has no event loop."""

        def run() -> _T:
            with translating(operation, self.path):
                with transaction(self.writer, "BEGIN IMMEDIATE"):
                    result = work(self.writer)
                if after is not None:
                    after(self.writer)
                return result

        return self._writing.submit(run)

    async def read(self, operation: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """The result of `work`, which is short, on a reading connection; `work` frames its own transactions."""
        return await self._on(self._reading, self._readers, operation, work)

    async def read_inline(self, operation: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """The same on the thread of the event loop, for work of one row: a change of threads would take longer.

        What fails is repeated on a reading thread, which waits where a lock is in the way and says what else it is.
        """
        try:
            return work(self._inline)
        except (sqlite3.Error, Misfiled):
            return await self.read(operation, work)

    async def search(self, operation: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """The same for work that may take long."""
        return await self._on(self._searching, self._searchers, operation, work)

    async def _on(
        self,
        threads: ThreadPoolExecutor,
        connections: deque[sqlite3.Connection],
        operation: str,
        work: Callable[[sqlite3.Connection], _T],
    ) -> _T:
        def run() -> _T:
            connection = connections.popleft()
            try:
                with translating(operation, self.path):
                    return work(connection)
            finally:
                connections.append(connection)

        return await asyncio.get_running_loop().run_in_executor(threads, run)

    def close(self) -> None:
        """Finishes what was begun, moves the log into the database file if it can, and closes every connection."""
        self._searching.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        self._writing.shutdown(wait=True)
        for reader in (*self._readers, *self._searchers, self._inline):
            reader.close()
        self._checkpoint()
        self.writer.close()

    def _checkpoint(self) -> None:
        """Empties the write-ahead log without waiting for anybody.

        Where that is impossible nothing is lost: the log stays and is read at the next open.
        """
        try:
            self.writer.execute("PRAGMA busy_timeout = 0")
            blocked = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            _log.warning(
                "%s: the write-ahead log could not be emptied at close and is read at the next open: %s",
                self.path,
                error,
            )
            return
        if blocked:
            _log.info("%s: the write-ahead log was left to another connection at close", self.path)
