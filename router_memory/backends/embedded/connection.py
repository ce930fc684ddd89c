"""Connections to the file: how they are opened, how a transaction is framed, and the threads that own them."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from router_memory.backends.embedded.translate import translating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Connections", "connect", "transaction", "use_wal"]

_T = TypeVar("_T")

_CACHED_STATEMENTS = 256
_PAGE_CACHE_KIB = 16_384
_WAL_BYTES_KEPT = 64 * 1024 * 1024
_WAL_RETRY_SECONDS = 0.02


def connect(path: Path, *, read_only: bool, busy_timeout_ms: int, synchronous: str = "full") -> sqlite3.Connection:
    """A connection in autocommit mode; transactions are framed by `transaction`.

    Args:
        path: The file.
        read_only: Whether writing is refused; otherwise the file is created when missing.
        busy_timeout_ms: How long a statement waits for another connection's lock.
        synchronous: For the writer: ``full`` syncs the log on every commit, ``normal`` on checkpoints alone.

    Raises:
        sqlite3.Error: The file cannot be opened.
    """
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,  # a connection moves between the threads of its pool, used by one at a time
        cached_statements=_CACHED_STATEMENTS,
    )
    connection.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
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


class Connections:
    """One writing thread with its connection, and a few reading ones with theirs.

    A caller that is cancelled leaves its work to finish on the thread, so no transaction is cut off.

    Args:
        writer: The one connection that writes.
        readers: Read-only ones; as many calls read at once.
    """

    def __init__(self, writer: sqlite3.Connection, readers: list[sqlite3.Connection]) -> None:
        self.writer = writer
        self._readers = deque(readers)
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="memory-write")
        self._reading = ThreadPoolExecutor(len(readers), thread_name_prefix="memory-read")

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
            with translating(operation):
                with transaction(self.writer, "BEGIN IMMEDIATE"):
                    result = work(self.writer)
                if after is not None:
                    after(self.writer)
                return result

        return self._writing.submit(run)

    async def read(self, operation: str, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """The result of `work` on a reading connection; `work` frames its own transactions."""

        def run() -> _T:
            connection = self._readers.popleft()
            try:
                with translating(operation):
                    return work(connection)
            finally:
                self._readers.append(connection)

        return await asyncio.get_running_loop().run_in_executor(self._reading, run)

    def close(self) -> None:
        """Finishes what was begun, moves the log into the database file and closes every connection."""
        self._reading.shutdown(wait=True)
        self._writing.shutdown(wait=True)
        for reader in self._readers:
            reader.close()
        try:
            self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.writer.close()
