"""The tables, and the check that a file is one of ours and fits the configuration.

Everything of a user is clustered under the user's integer key, so a search reads neighbouring
pages. Numbers of records and vectors count up per user and are never used again: what is newer
than a snapshot or an index is exactly what has a greater number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from router_memory.backends.embedded.connection import transaction
from router_memory.backends.embedded.translate import BACKEND, damaged
from router_memory.errors import BackendRejected, IndexMismatch

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

__all__ = [
    "APPLICATION_ID",
    "SCHEMA_VERSION",
    "Layout",
    "adopt",
    "may_hold_halves",
    "no_database",
    "page_size",
    "prepare",
]

APPLICATION_ID = 0x524D454D
"""``RMEM``, in the header of every file of ours."""

SCHEMA_VERSION = 2
"""Of files made from now on. In those of 1 vectors are float32; they are read and written as they are, so that the
version that made them can read them still. In those of 2 vectors may be float16."""

_READABLE = frozenset({1, 2})

_METRIC = "cosine"

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE users (
  key             INTEGER PRIMARY KEY AUTOINCREMENT,
  digest          BLOB NOT NULL UNIQUE,      -- 16 bytes, Scope.user_digest
  user_id         TEXT NOT NULL,
  epoch           TEXT NOT NULL,             -- another random token after every write
  documents       INTEGER NOT NULL,
  length_sum      INTEGER NOT NULL,
  vectors         INTEGER NOT NULL,          -- rows in vectors
  last_record     INTEGER NOT NULL,          -- greatest records.number ever given
  last_vector     INTEGER NOT NULL,          -- greatest vectors.number ever given
  rewrites        INTEGER NOT NULL,          -- updates and deletions so far: unchanged means only appends
  index_checksum  TEXT,                      -- of the HNSW file; NULL without one
  index_watermark INTEGER NOT NULL DEFAULT 0,-- vectors up to this number are in it
  index_rows      INTEGER NOT NULL DEFAULT 0 -- how many it holds, deleted ones among them
);

CREATE TABLE projects (
  key        INTEGER PRIMARY KEY AUTOINCREMENT,
  user       INTEGER NOT NULL,
  digest     BLOB NOT NULL UNIQUE,           -- 16 bytes, Scope.project_digest
  project_id TEXT NOT NULL
);
CREATE INDEX projects_by_user ON projects (user);

CREATE TABLE records (
  user            INTEGER NOT NULL,
  number          INTEGER NOT NULL,          -- order of insertion
  id              TEXT NOT NULL,
  project         INTEGER NOT NULL,          -- projects.key, 0 for none
  type            TEXT NOT NULL,
  role            TEXT,
  speaker         TEXT,
  conversation_id TEXT,
  position        INTEGER NOT NULL,
  part            INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,          -- microseconds since 1970, UTC; so are the other times
  updated_at      INTEGER NOT NULL,
  importance      REAL NOT NULL,
  access_count    INTEGER NOT NULL,
  accessed_at     INTEGER,
  content         TEXT NOT NULL,
  document        TEXT NOT NULL,             -- JSON: stem -> frequency
  length          INTEGER NOT NULL,
  vector_first    INTEGER NOT NULL,          -- its vectors are first … first + count - 1
  vector_count    INTEGER NOT NULL,
  PRIMARY KEY (user, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX records_by_id ON records (user, id);
CREATE INDEX records_by_time ON records (user, created_at, position, id);
-- older files lack this one until it is needed, see kinds.py
CREATE INDEX records_by_kind ON records (user, project, type, number, vector_first, vector_count);

CREATE TABLE vectors (
  user   INTEGER NOT NULL,
  number INTEGER NOT NULL,
  record INTEGER NOT NULL,
  vector BLOB NOT NULL,                      -- little-endian float32 or float16, unit norm
  PRIMARY KEY (user, number)
) WITHOUT ROWID;

CREATE TABLE postings (
  user INTEGER NOT NULL, stem TEXT NOT NULL, record INTEGER NOT NULL,
  PRIMARY KEY (user, stem, record)
) WITHOUT ROWID;

CREATE TABLE stems (
  user INTEGER NOT NULL, stem TEXT NOT NULL, documents INTEGER NOT NULL,
  PRIMARY KEY (user, stem)
) WITHOUT ROWID;

CREATE TABLE tallies (                       -- memories by project and type
  user INTEGER NOT NULL, project INTEGER NOT NULL, type TEXT NOT NULL, memories INTEGER NOT NULL,
  PRIMARY KEY (user, project, type)
) WITHOUT ROWID;

CREATE VIEW memories AS
  SELECT r.*, p.project_id FROM records r LEFT JOIN projects p ON p.key = r.project;
"""


def may_hold_halves(connection: sqlite3.Connection) -> bool:
    """Whether those who read the file know vectors in half precision."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0]) > 1


class Layout(NamedTuple):
    """What the vectors of a file are: any difference makes them incomparable."""

    dimension: int
    fingerprint: str


def page_size(dimension: int) -> int:
    """The page in bytes, 8,192 to 65,536, so that a vector stays on its page: a quarter of it is kept inline."""
    needed = (dimension * 4 + 64) * 4
    return min(65_536, max(8_192, 1 << (needed - 1).bit_length()))


def prepare(connection: sqlite3.Connection, layout: Layout, path: Path) -> None:
    """Checks the file, and makes the tables when it is empty. Changes nothing in a file that does not fit.

    Raises:
        IndexMismatch: It was made with another dimension or embedder.
        BackendRejected: It is another application's or of another schema.
    """
    if not _is_empty(connection):
        _check(connection, layout, path)
        return
    with transaction(connection, "BEGIN IMMEDIATE"):
        if _is_empty(connection):  # another process may have been first
            _create(connection, layout)
    _check(connection, layout, path)


def adopt(connection: sqlite3.Connection, path: Path) -> Layout:
    """The layout of a file that is there. Changes nothing.

    Raises:
        BackendRejected: It is empty, another application's, of another schema, or does not say what it holds.
    """
    if _is_empty(connection):
        raise no_database(path)
    meta = _identified(connection, path)
    if not meta.get("dimension", "").isdecimal() or "fingerprint" not in meta:
        raise damaged(path, "open", "it does not say which vectors it holds")
    _compare("metric", _METRIC, meta.get("metric", ""), path)
    return Layout(int(meta["dimension"]), meta["fingerprint"])


def no_database(path: Path) -> BackendRejected:
    """The error of a store that creates nothing where there is nothing."""
    return BackendRejected(
        f"there is no database at {path}",
        backend=BACKEND,
        operation="open",
        hint="check the path; the first memory that is stored makes one; nothing was created",
    )


def _is_empty(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) = 0 FROM sqlite_master").fetchone()[0])


def _create(connection: sqlite3.Connection, layout: Layout) -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?)",
        [
            ("schema", str(SCHEMA_VERSION)),
            ("metric", _METRIC),
            ("dimension", str(layout.dimension)),
            ("fingerprint", layout.fingerprint),
        ],
    )
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _identified(connection: sqlite3.Connection, path: Path) -> dict[str, str]:
    """What the file says about itself, once it is sure to be one of ours."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise BackendRejected(
            f"{path} is an SQLite database of another application",
            backend=BACKEND,
            operation="open",
            hint="configure another path; nothing was changed",
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in _READABLE:
        raise BackendRejected(
            f"{path} has schema {version}, this version reads {min(_READABLE)} to {SCHEMA_VERSION}",
            backend=BACKEND,
            operation="open",
            hint="install the router-memory that wrote it, or configure another path; nothing was changed",
        )
    return dict(connection.execute("SELECT key, value FROM meta"))


def _check(connection: sqlite3.Connection, layout: Layout, path: Path) -> None:
    meta = _identified(connection, path)
    _compare("dimension", str(layout.dimension), meta.get("dimension", ""), path)
    _compare("embedder", layout.fingerprint, meta.get("fingerprint", ""), path)
    _compare("metric", _METRIC, meta.get("metric", ""), path)


def _compare(what: str, expected: str, found: str, path: Path) -> None:
    if expected == found:
        return
    raise IndexMismatch(
        f"{path} was written with {what} {found!r}, the configuration asks for {expected!r}",
        backend=BACKEND,
        operation="open",
        expected=expected,
        found=found,
        hint=f"configure {what} {found!r} again; or give the new one its own embedded.path and move the memories: "
        "router-memory export --all --config OLD.yaml | router-memory import - --config NEW.yaml; nothing was changed",
    )
