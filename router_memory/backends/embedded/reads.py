"""What reads memories one by one, by page or in number, without searching."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from router_memory.backends.embedded.owners import find_project, find_user
from router_memory.backends.embedded.records import MemoryRow, check_owner, decode_record
from router_memory.storage import Position, encode_cursor
from router_memory.types import MemoryRecord, MemoryType, Page, Scope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

__all__ = ["contains", "count", "existing", "find_row", "get", "owned", "page", "tally", "type_names", "users"]


def type_names(types: Iterable[MemoryType]) -> str | None:
    """The types as JSON for a query; ``None`` for all of them."""
    names = sorted(member.value for member in types)
    return json.dumps(names) if names else None


def owned(row: MemoryRow, scope: Scope) -> MemoryRecord:
    """The record of a row that was found for `scope`, its owner checked."""
    return check_owner(decode_record(row, Scope(scope.user_id, row.project_id)), scope)


def find_row(connection: sqlite3.Connection, user: int, project: int | None, id: str) -> MemoryRow | None:
    """The user's row of that id, ``None`` when there is none or it is in another project than the one asked for."""
    row = connection.execute(
        "SELECT * FROM memories WHERE user = ?1 AND id = ?2 AND (?3 IS NULL OR project = ?3)", (user, id, project)
    ).fetchone()
    return None if row is None else MemoryRow._make(row)


def existing(connection: sqlite3.Connection, user: int, project: int | None, ids: Sequence[str]) -> set[str]:
    """Those of the ids that the user has, in the project if one is given."""
    rows = connection.execute(
        "SELECT r.id FROM json_each(?1) q CROSS JOIN records r ON r.user = ?2 AND r.id = q.value "
        "WHERE ?3 IS NULL OR r.project = ?3",
        (json.dumps(ids), user, project),
    )
    return {row[0] for row in rows}


def contains(connection: sqlite3.Connection, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
    """See `MemoryStore.contains`."""
    state = find_user(connection, scope)
    if state is None:
        return frozenset()
    return frozenset(existing(connection, state.key, find_project(connection, scope, state.key), ids))


def get(connection: sqlite3.Connection, scope: Scope, id: str) -> MemoryRecord | None:
    """See `MemoryStore.get`."""
    state = find_user(connection, scope)
    if state is None:
        return None
    row = find_row(connection, state.key, find_project(connection, scope, state.key), id)
    return None if row is None else owned(row, scope)


def tally(connection: sqlite3.Connection, user: int, project: int | None, types: str | None) -> int:
    """How many memories the user has in the project (``None``: in all and in none) of the types (``None``: of all)."""
    return int(
        connection.execute(
            "SELECT coalesce(sum(memories), 0) FROM tallies WHERE user = ?1 AND (?2 IS NULL OR project = ?2) "
            "AND (?3 IS NULL OR type IN (SELECT value FROM json_each(?3)))",
            (user, project, types),
        ).fetchone()[0]
    )


def count(connection: sqlite3.Connection, scope: Scope, types: Iterable[MemoryType]) -> int:
    """See `MemoryStore.count`."""
    state = find_user(connection, scope)
    if state is None:
        return 0
    return tally(connection, state.key, find_project(connection, scope, state.key), type_names(types))


def users(connection: sqlite3.Connection, behind: int, limit: int) -> list[tuple[int, str]]:
    """Keys and ids of up to `limit` users with memories whose keys are greater than `behind`, in their order."""
    rows = connection.execute(
        "SELECT key, user_id FROM users WHERE key > ? AND documents > 0 ORDER BY key LIMIT ?", (behind, limit)
    )
    return rows.fetchall()


def page(
    connection: sqlite3.Connection, scope: Scope, types: Iterable[MemoryType], limit: int, after: Position | None
) -> Page:
    """Up to `limit` memories behind `after`, newest first; see `MemoryStore.list`."""
    state = find_user(connection, scope)
    if state is None:
        return Page((), None, 0)
    project, names = find_project(connection, scope, state.key), type_names(types)
    condition = (
        "SELECT * FROM memories WHERE user = ?1 AND (?2 IS NULL OR project = ?2) "
        "AND (?3 IS NULL OR type IN (SELECT value FROM json_each(?3))) "
    )
    order = "ORDER BY created_at DESC, position DESC, id DESC LIMIT ?4"
    arguments: tuple[object, ...] = (state.key, project, names, limit + 1)
    if after is not None:
        condition += "AND (created_at, position, id) < (?5, ?6, ?7) "
        arguments += after
    rows = [MemoryRow._make(row) for row in connection.execute(condition + order, arguments)]
    cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        cursor = encode_cursor(scope, Position(last.created_at, last.position, last.id))
    records = tuple(owned(row, scope) for row in rows[:limit])
    return Page(records, cursor, tally(connection, state.key, project, names))
