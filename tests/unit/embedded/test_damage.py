"""Files that are whole to SQLite and hold rows the store never wrote: typed errors, and deletion all the same."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendRejected
from router_memory.types import CandidateQuery, Scope
from tests.contract.samples import change, ids, memories, memory, query
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

ALICE, BOB = Scope("alice"), Scope("bob")
DAMAGED = memory(ALICE, 1)

DAMAGES = {
    "short vector": "UPDATE vectors SET vector = x'0102' WHERE user = 1 AND number = 2",
    "long vector": "UPDATE vectors SET vector = vector || x'00000000' WHERE user = 1 AND number = 2",
    "vector of text": "UPDATE vectors SET vector = hex(vector) WHERE user = 1 AND number = 2",
    "document": "UPDATE records SET document = '{\"cut' WHERE user = 1 AND number = 2",
    "document of another kind": "UPDATE records SET document = '[1]' WHERE user = 1 AND number = 2",
    "document of other values": 'UPDATE records SET document = \'{"a": "b"}\' WHERE user = 1 AND number = 2',
    "document with more behind it": "UPDATE records SET document = '{\"a\":1}}' WHERE user = 1 AND number = 2",
    "document not UTF-8": "UPDATE records SET document = CAST(x'ff' AS TEXT) WHERE user = 1 AND number = 2",
    "content not UTF-8": "UPDATE records SET content = CAST(x'71717a78ff' AS TEXT) WHERE user = 1 AND number = 2",
    "type": "UPDATE records SET type = 'strange' WHERE user = 1 AND number = 2",
    "time": "UPDATE records SET updated_at = 'noon' WHERE user = 1 AND number = 2",
}
MODES = {"snapshot": {}, "database": {"cache_bytes": 0}, "graph": {"promote_at": 0}}


def _damage(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """Four memories of Alice, the second of which is `DAMAGED`, and two of Bob."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, memories(ALICE, 4))
        await store.add(BOB, memories(BOB, 2))
    return path


def _leftovers(path: Path) -> dict[str, int]:
    connection = sqlite3.connect(path)
    columns = dict.fromkeys(("records", "vectors", "postings", "stems", "tallies"), "user") | {"users": "key"}
    found = {
        table: int(connection.execute(f"SELECT count(*) FROM {table} WHERE {column} = 1").fetchone()[0])
        for table, column in columns.items()
    }
    connection.close()
    return found


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
async def test_a_search_over_a_damaged_row_is_rejected(file: Path, damage: str, mode: dict[str, int]) -> None:
    """The error says to restore a backup and quotes nothing; other users are served."""
    _damage(file, damage)
    async with opened(file, **mode) as store:
        with pytest.raises(BackendRejected, match="backup") as caught:
            await store.candidates(query(ALICE, stems=("memory",)))
        assert "qqzx" not in str(caught.value)
        assert len((await store.candidates(query(BOB))).candidates) == 2


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_user_with_a_damaged_row_can_be_forgotten(file: Path, damage: str) -> None:
    """Nothing of the user is left, in no table."""
    _damage(file, damage)
    async with opened(file) as store:
        assert await store.forget_scope(ALICE) == 4
        assert await store.count(BOB) == 2
    assert set(_leftovers(file).values()) == {0}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_memory_can_be_forgotten(file: Path, damage: str) -> None:
    """Then the user is as one who never had it: statistics are exact and searches work."""
    _damage(file, damage)
    async with opened(file) as store:
        assert await store.forget(ALICE, [DAMAGED.record.id]) == 1
        statistics = await store.statistics(ALICE, ["memory", "n0", "n1"])
        assert (statistics.documents, statistics.length_sum) == (3, 9)
        assert dict(statistics.frequency) == {"memory": 3, "n0": 1}
        result = await store.candidates(query(ALICE, stems=("memory", "n1")))
        assert len(result.candidates) == 3
        assert (await store.list(ALICE)).total == 3


@pytest.mark.parametrize("name", ["document", "short vector"])
async def test_new_content_repairs_a_memory(file: Path, name: str) -> None:
    """What was damaged is replaced, and counted as what it is now."""
    _damage(file, DAMAGES[name])
    async with opened(file) as store:
        await store.update(ALICE, DAMAGED.record.id, change(memory(ALICE, 9)))
        assert dict((await store.statistics(ALICE, ["memory", "n1", "n9"])).frequency) == {"memory": 4, "n9": 1}
        assert len((await store.candidates(query(ALICE))).candidates) == 4


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
async def test_a_memory_without_its_vector(file: Path, mode: dict[str, int]) -> None:
    """It is never given another one's; it can be forgotten, and then everything is right."""
    _damage(file, "DELETE FROM vectors WHERE user = 1 AND number = 2")
    _damage(file, "UPDATE users SET vectors = vectors - 1 WHERE key = 1")
    async with opened(file, **mode) as store:
        if not mode:
            with pytest.raises(BackendRejected, match="backup"):
                await store.candidates(query(ALICE))
        assert await store.forget(ALICE, [DAMAGED.record.id]) == 1
        assert len((await store.candidates(query(ALICE))).candidates) == 3


async def test_a_stem_of_a_memory_that_is_not_there(file: Path) -> None:
    """The search is rejected and does not give another memory for it."""
    _damage(file, "INSERT INTO postings (user, stem, record) VALUES (1, 'ghost', 99)")
    async with opened(file) as store:
        with pytest.raises(BackendRejected, match="backup"):
            await store.candidates(CandidateQuery(scope=ALICE, vector=None, stems=("ghost",)))
        assert await store.forget_scope(ALICE) == 4
    assert set(_leftovers(file).values()) == {0}


async def test_reading_a_damaged_memory_is_rejected(file: Path) -> None:
    """One by one and in a listing."""
    _damage(file, DAMAGES["type"])
    async with opened(file) as store:
        with pytest.raises(BackendRejected, match="backup"):
            await store.get(ALICE, DAMAGED.record.id)
        with pytest.raises(BackendRejected, match="backup"):
            await store.list(ALICE)
        assert await store.contains(ALICE, ids([DAMAGED])) == frozenset(ids([DAMAGED]))
