"""What the store does with the file it is given."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.embedded import EmbeddedStore
from router_memory.errors import BackendRejected, BackendUnavailable, IndexMismatch, InvalidRequest
from router_memory.types import Scope
from tests.contract.samples import DIMENSION, FINGERPRINT, ids, memories, memory, query, unit_vectors
from tests.unit.embedded.stores import embedded, opened, remount, small_disk, without_rights

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE = Scope("alice")


def content(path: Path) -> bytes:
    """The file's bytes."""
    return path.read_bytes()


def listing(folder: Path) -> list[Path]:
    """What is in the folder."""
    return list(folder.iterdir())


def overwrite(path: Path, data: bytes) -> None:
    """Makes these the file's bytes."""
    path.write_bytes(data)


def set_mode(path: Path, mode: int) -> None:
    """Changes who may do what with it."""
    path.chmod(mode)


def lock_up(folder: Path) -> None:
    """Takes everybody's right to write the folder and the files in it."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A closed file with three memories."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, memories(ALICE, 3))
    return path


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that users without rights can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


async def test_directories_are_created(tmp_path: Path) -> None:
    """A path of directories that do not exist yet is made."""
    async with opened(tmp_path / "a b" / "ü?#%" / "memories.db") as store:
        await store.add(ALICE, [memory(ALICE, 1)])
    assert (tmp_path / "a b" / "ü?#%" / "memories.db").exists()


async def test_memories_survive_closing(file: Path) -> None:
    """What was stored is there when the file is opened again, and the write-ahead log is gone."""
    assert [path.name for path in listing(file.parent)] == [file.name]
    async with opened(file) as store:
        assert await store.contains(ALICE, ids(memories(ALICE, 4))) == frozenset(ids(memories(ALICE, 3)))


@pytest.mark.parametrize(
    ("options", "expected", "found"),
    [({"fingerprint": "other/16"}, "other/16", FINGERPRINT), ({"dimension": 8}, "8", "16")],
    ids=["fingerprint", "dimension"],
)
async def test_another_embedder_is_refused(file: Path, options: dict[str, Any], expected: str, found: str) -> None:
    """The error names both sides and what to do, and the file stays byte for byte (reference defect 10)."""
    before = content(file)
    with pytest.raises(IndexMismatch) as caught:
        await embedded(file, **options).open()
    assert (caught.value.expected, caught.value.found) == (expected, found)
    assert found in caught.value.hint
    assert content(file) == before


@pytest.mark.parametrize("schema", [0, 3, 99])
async def test_another_schema_is_refused(file: Path, schema: int) -> None:
    """A file of an earlier or later version is left alone."""
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {schema}")
    connection.close()
    with pytest.raises(BackendRejected, match=f"schema {schema}"):
        await embedded(file).open()


async def test_another_applications_database_is_refused(tmp_path: Path) -> None:
    """No table is added to a database that is not ours."""
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = content(path)
    with pytest.raises(BackendRejected, match="another application"):
        await embedded(path).open()
    assert content(path) == before


async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    """The message names the file, the hint says how to go on; nothing is deleted."""
    path = tmp_path / "it's memories.db"
    notes = b"not a database, but somebody's notes\n" * 100
    overwrite(path, notes)
    with pytest.raises(BackendRejected, match="backup") as caught:
        await embedded(path).open()
    assert caught.value.message == f"embedded open: {path}: file is not a database [SQLITE_NOTADB]"
    assert f'sqlite3 {shlex.quote(str(path))} ".recover"' in caught.value.hint
    assert "stats" not in caught.value.hint
    assert content(path) == notes


async def _use(path: Path) -> None:
    """Opens a store and reads from it."""
    async with opened(path) as store:
        await store.list(ALICE)


async def test_a_truncated_file_is_refused_and_kept(file: Path) -> None:
    """A file cut in the middle is found out, when it is opened or when it is read."""
    half = content(file)[: len(content(file)) // 2]
    overwrite(file, half)
    with pytest.raises(BackendRejected, match="backup"):
        await _use(file)
    assert content(file) == half


async def test_damaged_pages_are_reported(file: Path) -> None:
    """Overwritten pages give the typed error with the file and the hint to restore a backup."""
    page = 8_192
    overwrite(file, content(file)[:page] + b"\xa5" * (len(content(file)) - page))
    with pytest.raises(BackendRejected, match="backup") as caught:
        await _use(file)
    assert f"{file}: database disk image is malformed" in caught.value.message


async def test_a_file_without_write_permission_is_refused(public_folder: Path) -> None:
    """A read-only file in a read-only directory gives the hint about rights."""
    path = public_folder / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
    lock_up(public_folder)
    with without_rights(), pytest.raises(BackendRejected, match=f"{path}.*permission"):
        await embedded(path).open()


@pytest.mark.parametrize("folder_mode", [0o555, 0o777], ids=["folder read-only", "folder writable"])
async def test_a_file_that_may_only_be_read_is_refused_at_once(public_folder: Path, folder_mode: int) -> None:
    """Not only when something is to be written: also where the log of a killed process makes reading possible."""
    path = public_folder / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        for end in ("", "-wal", "-shm"):
            shutil.copy(f"{path}{end}", public_folder / f"copy.db{end}")
            (public_folder / f"copy.db{end}").chmod(0o444)
    set_mode(public_folder, folder_mode)
    with without_rights(), pytest.raises(BackendRejected, match=f"{public_folder}/copy.db: .*permission"):
        await embedded(public_folder / "copy.db").open()


async def test_a_file_locked_by_a_writer_opens_at_once(file: Path) -> None:
    """Whether it may be written is not a reason to wait; the timeout of writes is as configured afterwards."""
    async with opened(file) as holder:
        writer = holder._usable("test").connections.writer
        writer.execute("BEGIN IMMEDIATE")
        async with asyncio.timeout(3), opened(file, busy_timeout_ms=6_000) as store:
            assert await store.count(ALICE) == 3
            waits = store._usable("test").connections.writer.execute("PRAGMA busy_timeout").fetchone()
        writer.execute("ROLLBACK")
    assert waits == (6_000,)


async def test_a_directory_without_write_permission_is_refused(public_folder: Path) -> None:
    """So does a directory in which nothing can be created."""
    lock_up(public_folder)
    with without_rights(), pytest.raises(BackendRejected, match="permission"):
        await embedded(public_folder / "memories.db").open()
    with without_rights(), pytest.raises(BackendRejected, match="permission"):
        await embedded(public_folder / "deeper" / "memories.db").open()


async def test_a_read_only_file_system_is_named_in_the_hint(tmp_path: Path) -> None:
    """Whether the file is there, is not, or its folder is not: the hint knows of the mount."""
    folder = tmp_path / "disk"
    with small_disk(folder, 1_024):
        async with opened(folder / "memories.db") as store:
            await store.add(ALICE, [memory(ALICE, 1)])
        remount(folder, read_only=True)
        for path in (folder / "memories.db", folder / "other.db", folder / "deeper" / "memories.db"):
            with pytest.raises(BackendRejected, match=f"{path}.*read-only"):
                await embedded(path).open()


async def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    """A parent that is a file is no directory, and a directory is no file."""
    overwrite(tmp_path / "file", b"x")
    with pytest.raises(BackendRejected, match="a file where a folder is needed"):
        await embedded(tmp_path / "file" / "memories.db").open()
    with pytest.raises(BackendRejected, match=f"{tmp_path}: .*the path is a folder"):
        await embedded(tmp_path).open()


async def test_a_store_without_an_embedder_takes_what_the_file_says(file: Path) -> None:
    """Operators list, forget and see statistics without knowing the dimension; vectors are still checked."""
    store = EmbeddedStore(file)
    with pytest.raises(BackendUnavailable, match="not open"):
        await store.candidates(query(ALICE))
    await store.open()
    stats = await store.stats()
    assert (stats.dimension, stats.fingerprint, stats.memories) == (DIMENSION, FINGERPRINT, 3)
    assert (await store.list(ALICE)).total == 3
    assert await store.forget(ALICE, ids([memory(ALICE, 1)])) == 1
    assert len((await store.candidates(query(ALICE))).candidates) == 2
    with pytest.raises(InvalidRequest):
        await store.add(ALICE, [memory(ALICE, 5, vectors=unit_vectors(5, dimension=DIMENSION + 1))])
    await store.close()
    async with opened(file) as again:
        assert await again.count(ALICE) == 2


@pytest.mark.parametrize("name", ["memories.db", "no folder/memories.db", "file/memories.db", "empty"])
async def test_a_store_without_an_embedder_creates_nothing(tmp_path: Path, name: str) -> None:
    """Where there is no database it says so, and leaves no file or folder."""
    overwrite(tmp_path / "file", b"x")
    overwrite(tmp_path / "empty", b"")
    before = sorted(listing(tmp_path))
    with pytest.raises(BackendRejected, match=re.escape(f"there is no database at {tmp_path / name}")):
        await EmbeddedStore(tmp_path / name).open()
    assert sorted(listing(tmp_path)) == before
    assert content(tmp_path / "empty") == b""


async def test_a_store_without_an_embedder_refuses_what_is_not_ours(tmp_path: Path, file: Path) -> None:
    """Another application's file, one without tables and one that does not say its dimension are left alone."""
    other, bare = tmp_path / "other.db", tmp_path / "bare.db"
    for path, statement in ((other, "CREATE TABLE theirs (x)"), (bare, "PRAGMA user_version = 7")):
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
    with sqlite3.connect(file) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'dimension'")
    connection.close()
    for path, message in ((other, "another application"), (bare, "no database"), (file, "damaged")):
        before = content(path)
        with pytest.raises(BackendRejected, match=message):
            await EmbeddedStore(path).open()
        assert content(path) == before


@pytest.mark.parametrize(
    "given", [{"dimension": DIMENSION}, {"fingerprint": FINGERPRINT}], ids=lambda given: next(iter(given))
)
def test_dimension_and_fingerprint_come_together(tmp_path: Path, given: dict[str, Any]) -> None:
    """One without the other is an invalid request."""
    with pytest.raises(InvalidRequest, match="or neither"):
        EmbeddedStore(tmp_path / "memories.db", **given)


async def test_an_open_that_failed_may_be_repeated(tmp_path: Path) -> None:
    """A fault that is repaired needs no new store."""
    path = tmp_path / "memories.db"
    overwrite(path, b"x" * 4096)
    store = embedded(path)
    with pytest.raises(BackendRejected):
        await store.open()
    overwrite(path, b"")
    await store.open()
    assert await store.add(ALICE, [memory(ALICE, 1)])
    await store.close()


async def test_calls_before_open_are_unavailable(tmp_path: Path) -> None:
    """Nothing opens by itself."""
    with pytest.raises(BackendUnavailable, match="not open"):
        await embedded(tmp_path / "memories.db").count(ALICE)


async def test_stores_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """The tables are made by one, and all can write (reference defect 10)."""
    stores = [embedded(tmp_path / "memories.db") for _ in range(6)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.add(ALICE, [memory(ALICE, seed)]) for seed, store in enumerate(stores)))
    assert await stores[0].count(ALICE) == 6
    for store in stores:
        await store.close()


async def test_a_cancelled_open_can_be_followed_by_another(tmp_path: Path) -> None:
    """The connections of the first are given back."""
    store = embedded(tmp_path / "memories.db")
    opening = asyncio.ensure_future(store.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await store.open()
    assert await store.count(ALICE) == 0
    await store.close()


@pytest.mark.parametrize(
    "options",
    [{"dimension": 0}, {"readers": 0}, {"promote_at": -1}, {"cache_bytes": -1}, {"synchronous": "fast"}],
    ids=lambda options: next(iter(options)),
)
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    """The constructor names the field."""
    with pytest.raises(InvalidRequest) as caught:
        embedded(tmp_path / "memories.db", **options)
    assert caught.value.field == next(iter(options))


def test_a_database_in_memory_is_refused() -> None:
    """Readers and writer would not see the same one."""
    with pytest.raises(InvalidRequest):
        embedded(Path(":memory:"))
