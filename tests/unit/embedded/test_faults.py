"""Disks that fill up, locks that are held, processes that are killed, two processes on one file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendRejected, BackendTimeout, BackendUnavailable
from router_memory.types import Scope, WriteStatus
from tests.contract.samples import START, ids, memories, memory, query
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

ALICE = Scope("alice")

_WRITER = """
import asyncio, sys
from pathlib import Path
from router_memory.types import Scope
from tests.contract.samples import memory
from tests.unit.embedded.stores import embedded

async def main() -> None:
    store = embedded(Path(sys.argv[1]), synchronous="full")
    await store.open()
    for seed in range(1_000_000):
        write = memory(Scope("alice"), seed, conversation_id="c", rows=1 + seed % 2)
        await store.add(Scope("alice"), [write])
        print(write.record.id, flush=True)

asyncio.run(main())
"""


async def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """The write is refused with a hint, earlier ones stay, and the store works on once there is room."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, memories(ALICE, 5))
        writer = store._usable("test").connections.writer
        writer.execute("PRAGMA max_page_count = 1")  # SQLite raises it to the pages there are
        with pytest.raises(BackendRejected, match="free space"):
            await store.add(ALICE, memories(ALICE, 500, first=5))
        assert await store.count(ALICE) == 5
        assert (await store.statistics(ALICE, ["memory"])).frequency == {"memory": 5}
        writer.execute("PRAGMA max_page_count = 100000")
        assert await store.add(ALICE, [memory(ALICE, 9)]) == [WriteStatus.STORED]


async def test_a_disk_that_became_read_only_refuses_writes_alone(tmp_path: Path) -> None:
    """Searches go on."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, memories(ALICE, 3))
        store._usable("test").connections.writer.execute("PRAGMA query_only = ON")
        with pytest.raises(BackendRejected, match="permission"):
            await store.forget_scope(ALICE)
        assert len((await store.candidates(query(ALICE))).candidates) == 3


async def test_another_writers_lock_ends_in_a_timeout(tmp_path: Path) -> None:
    """A write waits for the lock as long as configured; reads do not wait at all."""
    path = tmp_path / "memories.db"
    async with opened(path, busy_timeout_ms=20) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BackendTimeout, match="busy_timeout_ms"):
            await store.add(ALICE, [memory(ALICE, 2)])
        assert await store.count(ALICE) == 1
        other.execute("ROLLBACK")
        other.close()
        assert await store.add(ALICE, [memory(ALICE, 2)]) == [WriteStatus.STORED]


async def test_an_error_of_the_connection_is_translated(tmp_path: Path) -> None:
    """A connection that is gone is a store that is unavailable."""
    async with opened(tmp_path / "memories.db", readers=1) as store:
        reader = store._usable("test").connections._readers[0]
        reader.close()
        with pytest.raises(BackendUnavailable):
            await store.count(ALICE)


async def test_two_stores_on_one_file_see_each_others_writes(tmp_path: Path) -> None:
    """The very next search shows what the other one added, replaced or deleted, snapshot or not."""
    path = tmp_path / "memories.db"
    async with opened(path) as one, opened(path) as two:
        first, second = memory(ALICE, 1, conversation_id="c"), memory(ALICE, 2, conversation_id="c")
        await one.add(ALICE, [first])
        assert len((await two.candidates(query(ALICE))).candidates) == 1
        await one.add(ALICE, [second])
        seen = await two.candidates(query(ALICE))
        assert {candidate.record.id for candidate in seen.candidates} == set(ids([first, second]))
        await two.update(ALICE, memory(ALICE, 3, id=first.record.id, content="replaced"))
        contents = {candidate.record.content for candidate in (await one.candidates(query(ALICE))).candidates}
        assert contents == {"replaced", second.record.content}
        await one.forget_scope(ALICE)
        assert (await two.candidates(query(ALICE))).candidates == ()
        await two.add(ALICE, [second])
        assert len((await one.candidates(query(ALICE))).candidates) == 1


async def test_touching_keeps_the_snapshot(tmp_path: Path) -> None:
    """An access is no reason to read a user's vectors again."""
    async with opened(tmp_path / "memories.db") as store:
        write = memory(ALICE, 1)
        await store.add(ALICE, [write])
        before = await store.candidates(query(ALICE))
        await store.touch(ALICE, [write.record.id], START)
        after = await store.candidates(query(ALICE))
        assert after.candidates[0].record is before.candidates[0].record


async def test_snapshots_stay_within_their_budget(tmp_path: Path) -> None:
    """Users searched long ago make room for others; all of them are still found."""
    async with opened(tmp_path / "memories.db", cache_bytes=100_000) as store:
        users = [Scope(f"user {number}") for number in range(12)]
        for user in users:
            await store.add(user, memories(user, 10))
        for user in users:
            assert len((await store.candidates(query(user))).candidates) == 10
        held = (await store.stats()).details["snapshot_bytes"]
        assert isinstance(held, int)
        assert 0 < held <= 100_000


def _kill_while_writing(path: Path, writes: int) -> list[str]:
    """The ids a process acknowledged before it was killed in the middle of its work."""
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    acknowledged: list[str] = []
    if process.stdout is not None:
        acknowledged = [process.stdout.readline().strip() for _ in range(writes)]
        process.kill()
        acknowledged += process.stdout.read().split("\n")[:-1]
        process.stdout.close()
    process.wait()
    return acknowledged


async def _check_after_kill(path: Path, acknowledged: list[str]) -> None:
    async with opened(path) as store:
        assert await store.contains(ALICE, acknowledged) == frozenset(acknowledged)
        count = await store.count(ALICE)
        assert count in {len(acknowledged), len(acknowledged) + 1}
        statistics = await store.statistics(ALICE, ["memory"])
        assert (statistics.documents, statistics.length_sum) == (count, 3 * count)
        assert statistics.frequency == {"memory": count}
        result = await store.candidates(query(ALICE, 1, dense_limit=10_000))
        assert len(result.candidates) == count
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


async def test_acknowledged_writes_survive_a_killed_process(tmp_path: Path) -> None:
    """After kill -9 every acknowledged memory is there, whole, and the statistics are exact."""
    acknowledged = _kill_while_writing(tmp_path / "memories.db", 200)
    await _check_after_kill(tmp_path / "memories.db", acknowledged)


@pytest.mark.full
async def test_acknowledged_writes_survive_a_process_killed_late(tmp_path: Path) -> None:
    """The same past 2,000 writes, with checkpoints among them."""
    acknowledged = _kill_while_writing(tmp_path / "memories.db", 2_000)
    await _check_after_kill(tmp_path / "memories.db", acknowledged)
