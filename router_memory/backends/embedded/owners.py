"""Users and projects: from a `Scope` to the integer keys every query carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from router_memory.backends.embedded.translate import Misfiled

if TYPE_CHECKING:
    import sqlite3

    from router_memory.types import Scope

__all__ = ["NO_PROJECT", "UserState", "create_user", "find_epoch", "find_project", "find_user", "obtain_project"]

NO_PROJECT = 0


class UserState(NamedTuple):
    """A row of ``users``: what a search must know before it looks at anything else."""

    key: int
    user_id: str
    epoch: str
    documents: int
    length_sum: int
    vectors: int
    last_record: int
    last_vector: int
    rewrites: int
    index_checksum: str | None
    index_watermark: int
    index_rows: int


def find_user(connection: sqlite3.Connection, scope: Scope) -> UserState | None:
    """The user's state, ``None`` when there are no memories.

    Raises:
        Misfiled: The row found under the digest is another user's.
    """
    row = connection.execute(
        "SELECT key, user_id, epoch, documents, length_sum, vectors, last_record, last_vector, rewrites, "
        "index_checksum, index_watermark, index_rows FROM users WHERE digest = ?",
        (bytes.fromhex(scope.user_digest),),
    ).fetchone()
    if row is None:
        return None
    state = UserState._make(row)
    _check_owner(state.user_id, scope)
    return state


def find_epoch(connection: sqlite3.Connection, scope: Scope) -> str:
    """The epoch of the user's state, empty when there are no memories. Leaves no transaction open.

    Raises:
        Misfiled: As of `find_user`.
    """
    row = connection.execute(
        "SELECT user_id, epoch FROM users WHERE digest = ?", (bytes.fromhex(scope.user_digest),)
    ).fetchone()
    if row is None:
        return ""
    user_id, epoch = row
    _check_owner(user_id, scope)
    return cast("str", epoch)


def _check_owner(user_id: str, scope: Scope) -> None:
    if user_id != scope.user_id:
        raise Misfiled("another user was found under this user's digest")


def create_user(connection: sqlite3.Connection, scope: Scope) -> UserState:
    """A user without memories; the caller adds some in the same transaction."""
    connection.execute(
        "INSERT INTO users "
        "(digest, user_id, epoch, documents, length_sum, vectors, last_record, last_vector, rewrites) "
        "VALUES (?, ?, '', 0, 0, 0, 0, 0, 0)",
        (bytes.fromhex(scope.user_digest), scope.user_id),
    )
    key = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
    return UserState(key, scope.user_id, "", 0, 0, 0, 0, 0, 0, None, 0, 0)


def find_project(connection: sqlite3.Connection, scope: Scope, user: int) -> int | None:
    """The key of the scope's project; ``None`` without one, -1 (which no row has) for one never written to."""
    if scope.project_digest is None:
        return None
    row = connection.execute(
        "SELECT key FROM projects WHERE digest = ? AND user = ?", (bytes.fromhex(scope.project_digest), user)
    ).fetchone()
    return -1 if row is None else int(row[0])


def obtain_project(connection: sqlite3.Connection, scope: Scope, user: int) -> int:
    """The key of the project that the scope writes to, made when it is new; `NO_PROJECT` without one."""
    found = find_project(connection, scope, user)
    if found is None:
        return NO_PROJECT
    if found >= 0:
        return found
    connection.execute(
        "INSERT INTO projects (user, digest, project_id) VALUES (?, ?, ?)",
        (user, bytes.fromhex(scope.project_digest or ""), scope.project),
    )
    return int(connection.execute("SELECT last_insert_rowid()").fetchone()[0])
