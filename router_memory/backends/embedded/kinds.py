"""The index of a user's records by project and type, which a filter that leaves few of very many is answered by.

It says where their vectors are, so that the records themselves, which are long, are not read. It takes about 25 bytes
for each memory.

Files made since it was thought of have it from the start; an older one gets it once a search would have needed it. That
changes nothing for other versions: SQLite keeps an index up to date whoever writes.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from router_memory.errors import BackendTimeout

if TYPE_CHECKING:
    import sqlite3
    from concurrent.futures import Future

    from router_memory.backends.embedded.connection import Connections

__all__ = ["CREATE_KINDS", "Kinds", "has_kinds"]

_log = logging.getLogger("router_memory.embedded")

_RETRY_SECONDS = 60.0

CREATE_KINDS = """
CREATE INDEX IF NOT EXISTS records_by_kind ON records (user, project, type, number, vector_first, vector_count)
"""


def has_kinds(connection: sqlite3.Connection) -> bool:
    """Whether the file has the index."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'records_by_kind'")
    return found.fetchone() is not None


class Kinds:
    """Makes the index where it is missing, once, on the writing thread.

    Searches go on meanwhile and read all records; writes wait, of this process and of others: one to five seconds for a
    million memories. Where it cannot be made, searches stay as they are, until the store is opened again; where another
    process kept the file locked, for a minute.

    Args:
        connections: Of the open file.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._begun = threading.Lock()
        self._not_before = 0.0

    def want(self, connection: sqlite3.Connection) -> None:
        """Has it made in the background if the file has none. Waits for nobody.

        Args:
            connection: A reading one.
        """
        if has_kinds(connection) or time.monotonic() < self._not_before or not self._begun.acquire(blocking=False):
            return
        self._connections.submit_write("index", _make).add_done_callback(self._made)

    def _made(self, future: Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        if error is None:
            return
        _log.warning("an index of memories by project and type could not be made, such searches take longer: %s", error)
        if isinstance(error, BackendTimeout):
            self._not_before = time.monotonic() + _RETRY_SECONDS
            self._begun.release()


def _make(connection: sqlite3.Connection) -> None:
    connection.execute(CREATE_KINDS)
