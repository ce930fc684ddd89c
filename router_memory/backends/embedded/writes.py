"""What changes memories. Each function runs inside one immediate transaction of the caller's.

A memory, its vectors, its postings, the statistics and the user's epoch change together or not at all.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from router_memory.backends.embedded.owners import (
    UserState,
    create_user,
    find_project,
    find_user,
    new_epoch,
    obtain_project,
)
from router_memory.backends.embedded.postings import add_postings, remove_postings
from router_memory.backends.embedded.reads import existing, find_row, type_names
from router_memory.backends.embedded.records import MemoryRow, encode_document, record_values, to_microseconds
from router_memory.types import MemoryType, MemoryWrite, Scope, WriteStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["add", "forget", "forget_batch", "touch", "update"]

_INSERT_RECORD = "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


def add(connection: sqlite3.Connection, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
    """Stores what is new; see `MemoryStore.add`."""
    state = find_user(connection, scope)
    seen = set() if state is None else existing(connection, state.key, None, [write.record.id for write in writes])
    statuses: list[WriteStatus] = []
    fresh: list[MemoryWrite] = []
    for write in writes:
        merged = write.record.id in seen
        statuses.append(WriteStatus.MERGED if merged else WriteStatus.STORED)
        if not merged:
            seen.add(write.record.id)
            fresh.append(write)
    if fresh:
        state = state or create_user(connection, scope)
        _insert(connection, scope, state, fresh)
    return statuses


def _insert(connection: sqlite3.Connection, scope: Scope, state: UserState, writes: list[MemoryWrite]) -> None:
    user, project = state.key, obtain_project(connection, scope, state.key)
    first, vector = state.last_record + 1, state.last_vector + 1
    rows: list[tuple[object, ...]] = []
    for number, write in enumerate(writes, first):
        rows.append(record_values(write, user, number, project, vector))
        _insert_vectors(connection, user, number, vector, write.vectors)
        vector += len(write.vectors)
    connection.executemany(_INSERT_RECORD, rows)
    add_postings(connection, user, [(number, write.document.stems) for number, write in enumerate(writes, first)])
    _tally(connection, user, Counter((project, write.record.type.value) for write in writes))
    connection.execute(
        "UPDATE users SET epoch = ?, documents = documents + ?, length_sum = length_sum + ?, vectors = vectors + ?, "
        "last_record = last_record + ?, last_vector = ? WHERE key = ?",
        (
            new_epoch(),
            len(writes),
            sum(write.document.length for write in writes),
            vector - 1 - state.last_vector,
            len(writes),
            vector - 1,
            user,
        ),
    )


def _insert_vectors(
    connection: sqlite3.Connection, user: int, record: int, first: int, vectors: NDArray[np.float32]
) -> None:
    connection.executemany(
        "INSERT INTO vectors (user, number, record, vector) VALUES (?, ?, ?, ?)",
        [(user, number, record, row.astype("<f4").tobytes()) for number, row in enumerate(vectors, first)],
    )


def _tally(connection: sqlite3.Connection, user: int, changes: Counter[tuple[int, str]]) -> None:
    """Adds the changes, which may be negative, to the counts by project and type."""
    connection.executemany(
        "INSERT INTO tallies (user, project, type, memories) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (user, project, type) DO UPDATE SET memories = memories + excluded.memories",
        [(user, *place, change) for place, change in changes.items()],
    )
    if any(change < 0 for change in changes.values()):
        connection.execute("DELETE FROM tallies WHERE user = ? AND memories <= 0", (user,))
        connection.execute(
            "DELETE FROM projects WHERE user = ?1 AND key NOT IN (SELECT project FROM tallies WHERE user = ?1)", (user,)
        )


def update(connection: sqlite3.Connection, scope: Scope, write: MemoryWrite) -> MemoryRow | None:
    """Replaces a memory; see `MemoryStore.update`. The row as it is now."""
    state = find_user(connection, scope)
    if state is None:
        return None
    project = find_project(connection, scope, state.key)
    old = find_row(connection, state.key, project, write.record.id)
    if old is None:
        return None
    user, number, first, record = state.key, old.number, state.last_vector + 1, write.record
    remove_postings(connection, user, [(number, json.loads(old.document))])
    add_postings(connection, user, [(number, write.document.stems)])
    _delete_vectors(connection, [old])
    _insert_vectors(connection, user, number, first, write.vectors)
    connection.execute(
        "UPDATE records SET content = ?, type = ?, importance = ?, updated_at = ?, document = ?, length = ?, "
        "vector_first = ?, vector_count = ? WHERE user = ? AND number = ?",
        (
            record.content,
            record.type.value,
            record.importance,
            to_microseconds(record.updated_at),
            encode_document(write.document),
            write.document.length,
            first,
            len(write.vectors),
            user,
            number,
        ),
    )
    if old.type != record.type.value:
        _tally(connection, user, Counter({(old.project, record.type.value): 1, (old.project, old.type): -1}))
    connection.execute(
        "UPDATE users SET epoch = ?, length_sum = length_sum + ?, vectors = vectors + ?, last_vector = ?, "
        "rewrites = rewrites + 1 WHERE key = ?",
        (
            new_epoch(),
            write.document.length - old.length,
            len(write.vectors) - old.vector_count,
            first + len(write.vectors) - 1,
            user,
        ),
    )
    return find_row(connection, user, project, record.id)


def forget(connection: sqlite3.Connection, scope: Scope, ids: Sequence[str]) -> int:
    """Deletes memories by id; see `MemoryStore.forget`."""
    state = find_user(connection, scope)
    if state is None:
        return 0
    rows = connection.execute(
        "SELECT m.* FROM json_each(?1) q CROSS JOIN memories m ON m.user = ?2 AND m.id = q.value "
        "WHERE ?3 IS NULL OR m.project = ?3",
        (json.dumps(list(dict.fromkeys(ids))), state.key, find_project(connection, scope, state.key)),
    ).fetchall()
    return _delete(connection, state, [MemoryRow._make(row) for row in rows])


def forget_batch(
    connection: sqlite3.Connection, scope: Scope, types: Iterable[MemoryType], older_than: datetime | None, batch: int
) -> int:
    """Deletes up to `batch` of the scope's memories, oldest first. How many there were; 0 when done."""
    state = find_user(connection, scope)
    if state is None:
        return 0
    rows = connection.execute(
        "SELECT * FROM memories WHERE user = ?1 AND (?2 IS NULL OR project = ?2) "
        "AND (?3 IS NULL OR type IN (SELECT value FROM json_each(?3))) AND (?4 IS NULL OR created_at < ?4) "
        "ORDER BY created_at LIMIT ?5",
        (
            state.key,
            find_project(connection, scope, state.key),
            type_names(types),
            None if older_than is None else to_microseconds(older_than),
            batch,
        ),
    ).fetchall()
    return _delete(connection, state, [MemoryRow._make(row) for row in rows])


def _delete(connection: sqlite3.Connection, state: UserState, rows: list[MemoryRow]) -> int:
    if not rows:
        return 0
    user = state.key
    remove_postings(connection, user, [(row.number, json.loads(row.document)) for row in rows])
    _delete_vectors(connection, rows)
    connection.executemany("DELETE FROM records WHERE user = ? AND number = ?", [(user, row.number) for row in rows])
    tally = Counter((row.project, row.type) for row in rows)
    _tally(connection, user, Counter({key: -count for key, count in tally.items()}))
    if len(rows) == state.documents:
        connection.execute("DELETE FROM users WHERE key = ?", (user,))
        return len(rows)
    connection.execute(
        "UPDATE users SET epoch = ?, documents = documents - ?, length_sum = length_sum - ?, vectors = vectors - ?, "
        "rewrites = rewrites + 1 WHERE key = ?",
        (new_epoch(), len(rows), sum(row.length for row in rows), sum(row.vector_count for row in rows), user),
    )
    return len(rows)


def _delete_vectors(connection: sqlite3.Connection, rows: Iterable[MemoryRow]) -> None:
    connection.executemany(
        "DELETE FROM vectors WHERE user = ? AND number BETWEEN ? AND ?",
        [(row.user, row.vector_first, row.vector_first + row.vector_count - 1) for row in rows],
    )


def touch(connection: sqlite3.Connection, scope: Scope, ids: Sequence[str], at: datetime) -> None:
    """Counts an access of each memory; the epoch stays."""
    state = find_user(connection, scope)
    if state is None:
        return
    project = find_project(connection, scope, state.key)
    moment = to_microseconds(at)
    connection.executemany(
        "UPDATE records SET access_count = access_count + 1, accessed_at = ?1 "
        "WHERE user = ?2 AND id = ?3 AND (?4 IS NULL OR project = ?4)",
        [(moment, state.key, name, project) for name in dict.fromkeys(ids)],
    )
