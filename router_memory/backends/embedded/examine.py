"""What an operator should know of the file, looked at from outside: the store need not be open."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory.backends.embedded.connection import connect, require_writable
from router_memory.backends.embedded.hnsw import GraphFiles
from router_memory.backends.embedded.records import HALVES_FROM
from router_memory.backends.embedded.schema import Layout, adopt, prepare
from router_memory.backends.embedded.translate import damaged, translating
from router_memory.errors import BackendError, BackendUnavailable, IndexMismatch
from router_memory.types import REACHABLE, CheckStatus, Finding, several, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Settings", "examine"]

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = frozenset({"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3"})
_LITTLE_SPACE = 1024**3
_NO_SPACE = 64 * 1024**2
_LONG_LOG = 256 * 1024**2
_ENOUGH_TO_MEASURE = 1000
_TEXT_BYTES = 1_500
"""Of a memory of 200 characters with its stems and postings, beside the vector: measured on 20,000 of 200 users."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the store was told to work on the file.

    Attributes: as of `EmbeddedStore`, but
        layout: What the file is to hold; ``None`` for what an existing one does.
    """

    layout: Layout | None
    promote_at: int
    busy_timeout_ms: int
    synchronous: str


@dataclass(frozen=True, slots=True)
class _Held:
    """What the file holds: totals, and the bytes they take without free pages."""

    memories: int
    users: int
    large: int
    graphs: int
    bytes: int


def examine(path: Path, settings: Settings, planned: int | None) -> tuple[Finding, ...]:
    """See `MemoryStore.examine`. Reads the whole file, so it takes its time on a large one. Blocks."""
    held: _Held | None = None
    obstacle = _obstacle(path)
    if obstacle is not None:
        found = [obstacle]
    else:
        found, held = _read(path, settings)
        found += [_writing(path, settings), _rights(path)]
    if held is not None:
        found.append(_memories(held, settings))
    if planned is not None:
        found.append(_planned(path, settings, held, planned))
    return (*found, _disk(path), _mount(path), _durability(path, settings))


def _obstacle(path: Path) -> Finding | None:
    """Why there is no file to look into."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _nothing_there(path)
    except OSError:
        return None  # something is there; opening it says what is wrong
    if stat.S_ISDIR(found.st_mode):
        return Finding("database", FAIL, f"{path} is a folder", "name a file in it as embedded.path")
    return None if found.st_size else _nothing_there(path)


def _read(path: Path, settings: Settings) -> tuple[list[Finding], _Held | None]:
    """What stands in the file, as far as it can be read, and its totals if they can."""
    found: list[Finding] = []
    try:
        with (
            translating("examine", path),
            closing(connect(path, read_only=True, busy_timeout_ms=settings.busy_timeout_ms)) as connection,
        ):
            for finding in _content(connection, path, settings):
                found.append(finding)  # noqa: PERF402 - what was found stays when a later check raises
            return found, _held(connection, path, settings)
    except BackendError as error:
        name = REACHABLE if isinstance(error, BackendUnavailable) else "reading"
        return [*found, _refused(error, name)], None


def _refused(error: BackendError, name: str) -> Finding:
    return Finding(name, FAIL, error.message, error.hint, {"error": type(error).__name__})


def _nothing_there(path: Path) -> Finding:
    folder = next(parent for parent in path.absolute().parents if _may(parent, os.F_OK))
    if not folder.is_dir() or not _may(folder, os.W_OK | os.X_OK):
        return Finding(
            "database",
            FAIL,
            f"there is no database at {path} and none can be made in {folder}",
            "give this process the right to write there, or configure another embedded.path",
        )
    return Finding(
        "database",
        WARN,
        f"there is no database at {path} yet; the first memory that is stored makes one",
        "nothing to do, unless you expected memories here: then check embedded.path",
        {"path": str(path)},
    )


def _content(connection: sqlite3.Connection, path: Path, settings: Settings) -> Iterator[Finding]:
    """What stands in the file, from its header to its last page."""
    layout = adopt(connection, path)
    log = _log_bytes(path)
    schema = int(connection.execute("PRAGMA user_version").fetchone()[0])
    yield Finding(
        "database",
        OK,
        f"{path}, {size_text(path.stat().st_size)}, schema {schema}",
        data={"path": str(path), "bytes": path.stat().st_size, "schema": schema},
    )
    yield _embedder(connection, path, settings, layout)
    began = time.monotonic()
    finding = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    took = time.monotonic() - began
    if finding == "ok":
        yield Finding("integrity", OK, f"the whole file was read in {took:.1f} s and is sound", data={"seconds": took})
    else:
        broken = damaged(path, "examine", " ".join(finding.removeprefix("*** in database main ***").split()))
        yield _refused(broken, "integrity")
    yield Finding(
        "log",
        WARN if log > _LONG_LOG else OK,
        f"{size_text(log)} of writes wait to be moved into the database",
        "a reader that never ends keeps the log from being emptied: restart the processes that use the file"
        if log > _LONG_LOG
        else "",
        {"bytes": log},
    )


def _embedder(connection: sqlite3.Connection, path: Path, settings: Settings, layout: Layout) -> Finding:
    """Whether the vectors are those of the configured model."""
    data = {"fingerprint": layout.fingerprint, "dimension": layout.dimension}
    if settings.layout is None:
        return Finding(
            "vectors", WARN, f"written with {_short(layout)}; no model was there to compare it with", data=data
        )
    try:
        prepare(connection, settings.layout, path)
    except IndexMismatch as error:
        return Finding("vectors", FAIL, error.message, error.hint, data)
    return Finding("vectors", OK, f"written with the configured model, {_short(layout)}", data=data)


def _short(layout: Layout) -> str:
    """The name and the dimension of the model, without the digest."""
    return "/".join(layout.fingerprint.split("/")[:2])


def _held(connection: sqlite3.Connection, path: Path, settings: Settings) -> _Held:
    memories, users, large, graphs = connection.execute(
        "SELECT coalesce(sum(documents), 0), count(*), coalesce(sum(documents > ?), 0), count(index_checksum) "
        "FROM users",
        (settings.promote_at,),
    ).fetchone()
    pages, free, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    used = (pages - free) * page_bytes + GraphFiles(path, 0).bytes()
    return _Held(memories, users, large, graphs, used)


def _memories(held: _Held, settings: Settings) -> Finding:
    each = held.bytes / held.memories if held.memories else 0
    text = f"{several(held.memories, 'memory', 'memories')} of {several(held.users, 'user', 'users')}"
    if held.memories:
        text += f", {each:,.0f} bytes each with vectors and indexes"
    if held.large:
        text += f"; {held.large:,} past promote_at {settings.promote_at:,}, {held.graphs:,} with a graph"
    waiting = held.large > held.graphs
    return Finding(
        "memories",
        WARN if waiting else OK,
        text,
        "graphs are built after the next write; until then these users are searched exactly, and slower"
        if waiting
        else "",
        {
            "memories": held.memories,
            "users": held.users,
            "large_users": held.large,
            "graphs": held.graphs,
            "bytes_each": each,
        },
    )


def _planned(path: Path, settings: Settings, held: _Held | None, planned: int) -> Finding:
    """The space that so many memories will take: as those that are there, or by rule where there are few."""
    measured = held is not None and held.memories >= _ENOUGH_TO_MEASURE
    if held is not None and measured:
        each, basis = held.bytes / held.memories, f"as those {held.memories:,} here"
    else:
        dimension = settings.layout.dimension if settings.layout else 384
        each, basis = (
            (2 if dimension >= HALVES_FROM else 4) * dimension + _TEXT_BYTES,
            "by rule for 200 characters; too few are here to measure",
        )
    needed, free = each * planned, _free(path)
    more = max(0.0, needed - (held.bytes if held else 0))
    tight = free is not None and more > free
    text = f"{planned:,} memories will take about {size_text(needed)}, {each:,.0f} bytes each ({basis})"
    return Finding(
        "planned",
        WARN if tight else OK,
        text,
        f"{size_text(more)} more are needed and {size_text(free or 0)} are free" if tight else "",
        {"memories": planned, "bytes": round(needed), "bytes_each": each, "measured": measured},
    )


def _writing(path: Path, settings: Settings) -> Finding:
    try:
        with (
            translating("examine", path),
            closing(connect(path, read_only=False, busy_timeout_ms=settings.busy_timeout_ms)) as connection,
        ):
            require_writable(connection, busy_timeout_ms=0)
    except BackendError as error:
        return _refused(error, "writing")
    return Finding("writing", OK, "the file and its folder may be written")


def _rights(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding("rights", FAIL, f"{path}: {error.strerror}")
    others = mode & (stat.S_IRWXG | stat.S_IRWXO)
    return Finding(
        "rights",
        WARN if others else OK,
        f"mode {mode:04o}: {'others than its owner may open the file' if others else 'only its owner may open it'}",
        "chmod 600 the file, unless a group is meant to read it" if others else "",
        {"mode": f"{mode:04o}"},
    )


def _may(path: Path, what: int) -> bool:
    """Whether this process, as the user it runs as now, may do this with the path."""
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _folder(path: Path) -> Path:
    """The nearest folder that is there."""
    return next(parent for parent in path.absolute().parents if _may(parent, os.F_OK) and parent.is_dir())


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(_folder(path)).free
    except OSError:
        return None


def _disk(path: Path) -> Finding:
    free = _free(path)
    if free is None:
        return Finding("disk", WARN, "the free space cannot be told")
    size = _size(path)
    status = FAIL if free < _NO_SPACE else WARN if free < max(_LITTLE_SPACE, size) else OK
    advice = "" if status is OK else "free space: a full disk refuses every write, and a backup needs the file's size"
    return Finding("disk", status, f"{size_text(free)} free", advice, {"free_bytes": free})


def _mount(path: Path) -> Finding:
    """Whether SQLite's locks hold where the file is."""
    kind = _file_system(_folder(path))
    if kind in _NETWORK:
        return Finding(
            "file system",
            FAIL,
            f"the file is on a network file system ({kind}), where SQLite's locks do not hold",
            "move it to a local disk, or use the Valkey backend",
            {"kind": kind},
        )
    return Finding("file system", OK, f"local ({kind})" if kind else "not told by this system", data={"kind": kind})


def _file_system(folder: Path) -> str:
    """The kind of the mount a folder is on; empty where the system does not tell."""
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for fields in map(str.split, lines):
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        if len(point) >= best and folder.is_relative_to(point):
            best, kind = len(point), fields[2]
    return kind


def _durability(path: Path, settings: Settings) -> Finding:
    kept = {
        "full": "an acknowledged write survives a crash and power loss",
        "normal": "an acknowledged write survives a crash; power loss may take the last moments",
    }
    return Finding(
        "durability",
        OK if settings.synchronous in kept else WARN,
        f"synchronous {settings.synchronous}: "
        + kept.get(settings.synchronous, "power loss may destroy the file")
        + f"; SQLite {sqlite3.sqlite_version}",
        "" if settings.synchronous in kept else "set embedded.synchronous to full or normal",
        data={"synchronous": settings.synchronous, "sqlite": sqlite3.sqlite_version, "path": str(path)},
    )


def _log_bytes(path: Path) -> int:
    return _size(path.with_name(path.name + "-wal"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
