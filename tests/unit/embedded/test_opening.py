"""What the store does with the file it is given."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.errors import BackendRejected, BackendUnavailable, IndexMismatch, InvalidRequest
from router_memory.types import Scope
from tests.contract.samples import FINGERPRINT, ids, memories, memory
from tests.unit.embedded.stores import embedded, opened, without_rights

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
    """The error names both sides and what to do, and the file stays byte for byte."""
    before = content(file)
    with pytest.raises(IndexMismatch) as caught:
        await embedded(file, **options).open()
    assert (caught.value.expected, caught.value.found) == (expected, found)
    assert found in caught.value.hint
    assert content(file) == before


@pytest.mark.parametrize("schema", [2, 99])
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
    """The hint says how to go on; nothing is deleted."""
    path = tmp_path / "memories.db"
    notes = b"not a database, but somebody's notes\n" * 100
    overwrite(path, notes)
    with pytest.raises(BackendRejected, match="backup"):
        await embedded(path).open()
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
    """Overwritten pages give the typed error with the hint to restore a backup."""
    page = 8_192
    overwrite(file, content(file)[:page] + b"\xa5" * (len(content(file)) - page))
    with pytest.raises(BackendRejected, match="backup"):
        await _use(file)


async def test_a_file_without_write_permission_is_refused(public_folder: Path) -> None:
    """A read-only file in a read-only directory gives the hint about rights."""
    path = public_folder / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
    lock_up(public_folder)
    with without_rights(), pytest.raises(BackendRejected, match="permission"):
        await embedded(path).open()


async def test_a_directory_without_write_permission_is_refused(public_folder: Path) -> None:
    """So does a directory in which nothing can be created."""
    lock_up(public_folder)
    with without_rights(), pytest.raises(BackendRejected, match="permission"):
        await embedded(public_folder / "memories.db").open()
    with without_rights(), pytest.raises(BackendRejected, match="permission"):
        await embedded(public_folder / "deeper" / "memories.db").open()


async def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    """A parent that is a file is no directory."""
    overwrite(tmp_path / "file", b"x")
    with pytest.raises(BackendRejected):
        await embedded(tmp_path / "file" / "memories.db").open()
    with pytest.raises(BackendRejected):
        await embedded(tmp_path).open()


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
    """The tables are made by one, and all can write."""
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
