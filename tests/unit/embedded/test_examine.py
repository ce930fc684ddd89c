"""What an operator is told of the file, whatever state it is in."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.embedded import examine as module
from router_memory.errors import InvalidRequest
from router_memory.types import REACHABLE, CheckStatus, Finding, Scope
from tests.contract.samples import DIMENSION, FINGERPRINT, memories
from tests.unit.embedded.stores import embedded, opened, without_rights

if TYPE_CHECKING:
    from collections.abc import Iterator

ALICE = Scope("alice")
OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL


async def written(path: Path, count: int = 3) -> Path:
    """A file with this many memories, closed."""
    async with opened(path) as store:
        await store.add(ALICE, memories(ALICE, count))
    return path


async def examined(path: Path, planned: int | None = None, **options: object) -> dict[str, Finding]:
    """The findings by name, of a store that is not open."""
    store = embedded(path, **{"synchronous": "full", **options})
    found = await store.examine(planned=planned)
    await store.close()
    assert len({finding.name for finding in found}) == len(found)
    return {finding.name: finding for finding in found}


def names(folder: Path) -> list[str]:
    return [item.name for item in folder.iterdir()]


def set_mode(path: Path, mode: int) -> None:
    path.chmod(mode)


def failed(found: dict[str, Finding]) -> list[str]:
    return [name for name, finding in found.items() if finding.status is FAIL]


async def test_a_sound_file_has_nothing_but_good_findings(tmp_path: Path) -> None:
    found = await examined(await written(tmp_path / "m.db"))
    assert {name for name, finding in found.items() if finding.status is not OK} <= {"disk"}
    assert list(found)[:3] == ["database", "vectors", "integrity"]
    assert found["memories"].data["memories"] == 3
    assert found["vectors"].data == {"fingerprint": FINGERPRINT, "dimension": DIMENSION}


async def test_what_is_fine_needs_no_advice(tmp_path: Path) -> None:
    found = await examined(await written(tmp_path / "m.db"), planned=10)
    assert [finding.name for finding in found.values() if bool(finding.advice) is (finding.status is OK)] == []


async def test_an_open_store_is_examined_while_it_works(tmp_path: Path) -> None:
    async with opened(tmp_path / "m.db") as store:
        await store.add(ALICE, memories(ALICE, 5))
        found = {finding.name: finding for finding in await store.examine()}
        assert await store.count(ALICE) == 5
    assert found["memories"].data["memories"] == 5


async def test_nothing_is_created(tmp_path: Path) -> None:
    found = await examined(tmp_path / "folder" / "m.db")
    assert names(tmp_path) == []
    assert found["database"].status is WARN
    assert "no database" in found["database"].finding
    assert failed(found) == []


async def test_nothing_is_left_behind_or_changed(tmp_path: Path) -> None:
    path = await written(tmp_path / "m.db")
    before = path.read_bytes()
    await examined(path)
    assert names(tmp_path) == ["m.db"]
    assert path.read_bytes() == before


async def test_a_place_where_nothing_can_be_made_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await examined(tmp_path / "file" / "m.db")
    assert failed(found) == ["database"]


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody can reach, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


async def test_a_folder_in_which_nothing_can_be_made_fails(public_folder: Path) -> None:
    set_mode(public_folder, 0o555)
    with without_rights():
        assert failed(await examined(public_folder / "m.db")) == ["database"]


async def test_a_file_that_may_only_be_read_fails_where_it_is_written(public_folder: Path) -> None:
    path = await written(public_folder / "m.db")
    path.chmod(0o444)
    with without_rights():
        found = await examined(path)
    assert "writing" in failed(found)
    assert "permission" in found["writing"].advice


async def test_a_file_that_may_not_be_seen_fails(public_folder: Path) -> None:
    (public_folder / "locked").mkdir()
    path = await written(public_folder / "locked" / "m.db")
    path.parent.chmod(0o000)
    with without_rights():
        found = await examined(path)
    path.parent.chmod(0o700)
    assert {"reading", "writing", "rights"} <= set(failed(found))


async def test_another_model_is_found_without_opening(tmp_path: Path) -> None:
    found = await examined(await written(tmp_path / "m.db"), fingerprint="other/16/model")
    assert failed(found) == ["vectors"]
    assert "the configuration asks for 'other/16/model'" in found["vectors"].finding
    assert found["vectors"].advice
    assert found["memories"].data["memories"] == 3


async def test_without_a_model_nothing_is_compared(tmp_path: Path) -> None:
    found = await examined(await written(tmp_path / "m.db"), fingerprint=None, dimension=None)
    assert found["vectors"].status is WARN
    assert "no model was there" in found["vectors"].finding


@pytest.mark.parametrize("content", [b"this is no database at all" * 1000, b"x"])
async def test_a_file_that_is_no_database_is_a_finding(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    found = await examined(path)
    assert "reading" in failed(found)
    assert found["reading"].advice
    assert "disk" in found
    assert path.read_bytes() == content


async def test_a_folder_in_its_place_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    path.mkdir()
    found = await examined(path)
    assert failed(found) == ["database"]
    assert "is a folder" in found["database"].finding


async def test_a_later_schema_is_a_finding(tmp_path: Path) -> None:
    path = await written(tmp_path / "m.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    found = await examined(path)
    assert failed(found) == ["reading"]
    assert "has schema 99" in found["reading"].finding


async def test_a_damaged_page_is_a_finding_and_the_rest_is_still_told(tmp_path: Path) -> None:
    path = await written(tmp_path / "m.db", 300)
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 8192 - 1):
        content[page * 8192 : page * 8192 + 64] = b"\xff" * 64
    path.write_bytes(content)
    found = await examined(path)
    assert found["database"].status is OK
    assert failed(found)
    assert any("damaged" in finding.finding or "malformed" in finding.finding for finding in found.values())


async def test_a_lock_that_keeps_readers_away_is_a_store_out_of_reach(tmp_path: Path) -> None:
    path = await written(tmp_path / "m.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        found = await examined(path, busy_timeout_ms=1)
    finally:
        other.close()
    assert found[REACHABLE].status is FAIL
    assert found[REACHABLE].data["error"] == "BackendTimeout"


async def test_who_writes_just_now_is_no_fault(tmp_path: Path) -> None:
    path = await written(tmp_path / "m.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert failed(await examined(path, busy_timeout_ms=1)) == []
    finally:
        other.close()


async def test_a_file_that_others_may_open_is_pointed_out(tmp_path: Path) -> None:
    path = await written(tmp_path / "m.db")
    path.chmod(0o644)
    found = await examined(path)
    assert found["rights"].status is WARN
    assert "0644" in found["rights"].finding


@pytest.mark.parametrize(("free", "status"), [(10**12, OK), (10**8, WARN), (10**6, FAIL)])
async def test_the_free_space_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: CheckStatus
) -> None:
    monkeypatch.setattr(module, "_free", lambda _: free)
    found = await examined(await written(tmp_path / "m.db"))
    assert found["disk"].status is status
    assert found["disk"].data["free_bytes"] == free


@pytest.mark.parametrize(
    ("mounts", "status", "kind"),
    [
        ("disk / ext4 rw 0 0\n", OK, "ext4"),
        ("disk / ext4 rw 0 0\nserver:/x {0} nfs4 rw 0 0\n", FAIL, "nfs4"),
        ("server:/x / nfs4 rw 0 0\ndisk {0} ext4 rw 0 0\n", OK, "ext4"),
        ("", OK, ""),
    ],
)
async def test_a_network_file_system_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, status: CheckStatus, kind: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "mounts").write_text(mounts.format(tmp_path / "data"))
    monkeypatch.setattr(module, "_MOUNTS", tmp_path / "mounts")
    found = await examined(await written(tmp_path / "data" / "m.db"))
    assert found["file system"].status is status
    assert found["file system"].data == {"kind": kind}


async def test_users_whose_graph_is_not_built_are_pointed_out(tmp_path: Path) -> None:
    found = await examined(await written(tmp_path / "m.db"), promote_at=2)
    assert found["memories"].status is WARN
    assert found["memories"].data["large_users"] == 1


async def test_a_long_log_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_log_bytes", lambda _: 10**9)
    assert (await examined(await written(tmp_path / "m.db")))["log"].status is WARN


async def test_planned_memories_are_measured_by_those_that_are_there(tmp_path: Path) -> None:
    found = await examined(await written(tmp_path / "m.db", 1000), planned=1_000_000)
    planned, held = found["planned"].data, found["memories"].data
    assert planned["measured"] is True
    assert planned["bytes_each"] == held["bytes_each"]


async def test_planned_memories_are_guessed_where_few_are_there(tmp_path: Path) -> None:
    found = await examined(tmp_path / "m.db", planned=1_000_000, dimension=384)
    assert found["planned"].data["measured"] is False
    assert 2e9 < int(str(found["planned"].data["bytes"])) < 5e9


async def test_more_memories_than_the_disk_holds_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_free", lambda _: 10**10)
    assert (await examined(tmp_path / "m.db", planned=10**6))["planned"].status is OK
    assert (await examined(tmp_path / "m.db", planned=10**9))["planned"].status is WARN


@pytest.mark.parametrize("planned", [0, -1, 1.5, True])
async def test_a_plan_is_a_whole_number(tmp_path: Path, planned: int) -> None:
    with pytest.raises(InvalidRequest, match="planned"):
        await embedded(tmp_path / "m.db").examine(planned=planned)
