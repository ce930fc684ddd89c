"""What changes memories. Each function runs inside one immediate transaction of the caller's.

A memory, its vectors, its postings, the statistics and the user's epoch change together or not at all.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from router_memory.backends.embedded.owners import (
    UserState,
    create_user,
    find_project,
    find_user,
    obtain_project,
)
from router_memory.backends.embedded.postings import add_postings, purge_postings, remove_postings
from router_memory.backends.embedded.reads import existing, find_row, owned, type_names
from router_memory.backends.embedded.records import decode_stems, encode_vectors, record_values
from router_memory.backends.embedded.schema import may_hold_halves
from router_memory.backends.embedded.translate import Damaged
from router_memory.storage import encode_document, new_epoch, to_microseconds
from router_memory.types import (
    Document,
    MemoryChange,
    MemoryRecord,
    MemoryType,
    MemoryWrite,
    Scope,
    WriteStatus,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["add", "forget", "forget_batch", "touch", "update"]

_COLUMNS = "r.number, r.project, r.type, r.length, r.vector_first, r.vector_count, CAST(r.document AS BLOB)"
_INSERT_RECORD = "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"


class _Row(NamedTuple):
    """What must be known of a memory to take it away; none of it is text that might not be readable."""

    number: int
    project: int
    type: str
    length: int
    vector_first: int
    vector_count: int
    document: bytes


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
    halves = may_hold_halves(connection)
    connection.executemany(
        "INSERT INTO vectors (user, number, record, vector) VALUES (?, ?, ?, ?)",
        [(user, number, record, row) for number, row in enumerate(encode_vectors(vectors, halves=halves), first)],
    )


def _tally(connection: sqlite3.Connection, user: int, changes: Counter[tuple[int, str]]) -> None:
    """Adds the changes, which may be negative, to the counts by project and type."""
    connection.executemany(
        "INSERT INTO tallies (user, project, type, memories) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (user, project, type) DO UPDATE SET memories = memories + excluded.memories",
        [(user, *place, change) for place, change in changes.items()],
    )
    if any(change < 0 for change in changes.values()):
        _recount_if_wrong(connection, user)
        connection.execute("DELETE FROM tallies WHERE user = ? AND memories <= 0", (user,))
        connection.execute(
            "DELETE FROM projects WHERE user = ?1 AND key NOT IN (SELECT project FROM tallies WHERE user = ?1)", (user,)
        )


def _recount_if_wrong(connection: sqlite3.Connection, user: int) -> None:
    """Counts anew where more was taken away than there was: a type or a project was damaged."""
    if connection.execute("SELECT 1 FROM tallies WHERE user = ? AND memories < 0", (user,)).fetchone() is None:
        return
    connection.execute("DELETE FROM tallies WHERE user = ?", (user,))
    connection.execute(
        "INSERT INTO tallies (user, project, type, memories) "
        "SELECT user, project, type, count(*) FROM records WHERE user = ? GROUP BY user, project, type",
        (user,),
    )


def update(connection: sqlite3.Connection, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
    """Sets the fields the change names on what is stored now; see `MemoryStore.update`."""
    state = find_user(connection, scope)
    if state is None:
        return None
    user, project = state.key, find_project(connection, scope, state.key)
    found = _found(
        connection,
        "SELECT {columns} FROM records r WHERE user = ?1 AND id = ?2 AND (?3 IS NULL OR project = ?3)",
        (user, id, project),
    )
    if not found:
        return None
    (old,) = found
    kind = None if change.type is None else change.type.value
    connection.execute(
        "UPDATE records SET type = coalesce(?, type), importance = coalesce(?, importance), "
        "updated_at = max(updated_at, ?) WHERE user = ? AND number = ?",
        (kind, change.importance, to_microseconds(change.at), user, old.number),
    )
    if kind is not None and kind != old.type:
        _tally(connection, user, Counter({(old.project, kind): 1, (old.project, old.type): -1}))
    if change.content is not None and change.document is not None and change.vectors is not None:
        _replace_text(connection, state, old, change.content, change.document, change.vectors)
    connection.execute("UPDATE users SET epoch = ?, rewrites = rewrites + 1 WHERE key = ?", (new_epoch(), user))
    row = find_row(connection, user, project, id)
    return None if row is None else owned(row, scope)


def _replace_text(
    connection: sqlite3.Connection,
    state: UserState,
    old: _Row,
    content: str,
    document: Document,
    vectors: NDArray[np.float32],
) -> None:
    user, number, first = state.key, old.number, state.last_vector + 1
    _remove_postings(connection, user, [old])
    add_postings(connection, user, [(number, document.stems)])
    removed = _delete_vectors(connection, user, [old])
    _insert_vectors(connection, user, number, first, vectors)
    connection.execute(
        "UPDATE records SET content = ?, document = ?, length = ?, vector_first = ?, vector_count = ? "
        "WHERE user = ? AND number = ?",
        (content, encode_document(document), document.length, first, len(vectors), user, number),
    )
    connection.execute(
        "UPDATE users SET length_sum = length_sum + ?, vectors = vectors + ?, last_vector = ? WHERE key = ?",
        (document.length - old.length, len(vectors) - removed, first + len(vectors) - 1, user),
    )


def forget(connection: sqlite3.Connection, scope: Scope, ids: Sequence[str]) -> int:
    """Deletes memories by id; see `MemoryStore.forget`."""
    state = find_user(connection, scope)
    if state is None:
        return 0
    rows = _found(
        connection,
        "SELECT {columns} FROM json_each(?1) q CROSS JOIN records r ON r.user = ?2 AND r.id = q.value "
        "WHERE ?3 IS NULL OR r.project = ?3",
        (json.dumps(list(dict.fromkeys(ids))), state.key, find_project(connection, scope, state.key)),
    )
    return _delete(connection, state, rows)


def forget_batch(
    connection: sqlite3.Connection, scope: Scope, types: Iterable[MemoryType], older_than: datetime | None, batch: int
) -> int:
    """Deletes up to `batch` of the scope's memories, oldest first. How many there were; 0 when done."""
    state = find_user(connection, scope)
    if state is None:
        return 0
    rows = _found(
        connection,
        "SELECT {columns} FROM records r WHERE user = ?1 AND (?2 IS NULL OR project = ?2) "
        "AND (?3 IS NULL OR type IN (SELECT value FROM json_each(?3))) AND (?4 IS NULL OR created_at < ?4) "
        "ORDER BY created_at LIMIT ?5",
        (
            state.key,
            find_project(connection, scope, state.key),
            type_names(types),
            None if older_than is None else to_microseconds(older_than),
            batch,
        ),
    )
    return _delete(connection, state, rows)


def _found(connection: sqlite3.Connection, query: str, arguments: Sequence[object]) -> list[_Row]:
    return [_Row._make(row) for row in connection.execute(query.format(columns=_COLUMNS), arguments)]


def _delete(connection: sqlite3.Connection, state: UserState, rows: list[_Row]) -> int:
    """Deletes memories with all that belongs to them, also where a part of it cannot be read."""
    if not rows:
        return 0
    user = state.key
    _remove_postings(connection, user, rows)
    removed = _delete_vectors(connection, user, rows)
    connection.executemany("DELETE FROM records WHERE user = ? AND number = ?", [(user, row.number) for row in rows])
    tally = Counter((row.project, row.type) for row in rows)
    _tally(connection, user, Counter({key: -count for key, count in tally.items()}))
    if len(rows) == state.documents:
        _delete_user(connection, user)
        return len(rows)
    connection.execute(
        "UPDATE users SET epoch = ?, documents = documents - ?, length_sum = length_sum - ?, vectors = vectors - ?, "
        "rewrites = rewrites + 1 WHERE key = ?",
        (new_epoch(), len(rows), sum(row.length for row in rows), removed, user),
    )
    return len(rows)


def _delete_user(connection: sqlite3.Connection, user: int) -> None:
    """Deletes a user without memories, and what damage may have left under the user's key."""
    for table in ("vectors", "postings", "stems", "tallies", "projects"):
        connection.execute(f"DELETE FROM {table} WHERE user = ?", (user,))  # noqa: S608 - names from the line above
    connection.execute("DELETE FROM users WHERE key = ?", (user,))


def _remove_postings(connection: sqlite3.Connection, user: int, rows: list[_Row]) -> None:
    try:
        documents = [(row.number, decode_stems(row.document)) for row in rows]
    except Damaged:
        purge_postings(connection, user, [row.number for row in rows])
    else:
        remove_postings(connection, user, documents)


def _delete_vectors(connection: sqlite3.Connection, user: int, rows: Sequence[_Row]) -> int:
    """Deletes the vectors of memories; how many there were."""
    removed = connection.executemany(
        "DELETE FROM vectors WHERE user = ? AND number BETWEEN ? AND ?",
        [(user, row.vector_first, row.vector_first + row.vector_count - 1) for row in rows],
    ).rowcount
    if removed != sum(row.vector_count for row in rows):  # damage: they are not where the records say
        removed += connection.execute(
            "DELETE FROM vectors WHERE user = ? AND record IN (SELECT value FROM json_each(?))",
            (user, json.dumps([row.number for row in rows])),
        ).rowcount
    return removed


def touch(connection: sqlite3.Connection, scope: Scope, ids: Sequence[str], at: datetime) -> None:
    """Counts an access for each time an id stands in `ids`; the epoch stays."""
    state = find_user(connection, scope)
    if state is None:
        return
    project = find_project(connection, scope, state.key)
    moment = to_microseconds(at)
    connection.executemany(
        "UPDATE records SET access_count = access_count + ?5, accessed_at = max(coalesce(accessed_at, ?1), ?1) "
        "WHERE user = ?2 AND id = ?3 AND (?4 IS NULL OR project = ?4)",
        [(moment, state.key, name, project, times) for name, times in Counter(ids).items()],
    )
