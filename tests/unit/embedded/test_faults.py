"""Disks that fill up, locks that are held, processes that are killed, two processes on one file."""

from __future__ import annotations

import logging
import resource
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendRejected, BackendTimeout, BackendUnavailable
from router_memory.types import Scope, WriteStatus
from tests.contract.samples import START, change, ids, memories, memory, query
from tests.unit.embedded.stores import embedded, fill, opened, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from router_memory.backends.embedded import EmbeddedStore

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
    """The write is refused with a hint, earlier ones stay, and the store works on once there is room.

    Reference defect 8: a write is all or nothing.
    """
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


async def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """Reference defect 8: when the last statement of a write fails, the rows before it are gone too."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        writer = store._usable("test").connections.writer
        before = await store.statistics(ALICE, ["memory", "n2"])
        writer.execute("CREATE TEMP TRIGGER fault BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'fault'); END")
        with pytest.raises(BackendRejected, match="fault"):
            await store.add(ALICE, [memory(ALICE, 2)])
        writer.execute("DROP TRIGGER fault")
        assert await store.get(ALICE, memory(ALICE, 2).record.id) is None
        assert await store.contains(ALICE, ids(memories(ALICE, 3))) == frozenset(ids([memory(ALICE, 1)]))
        assert await store.statistics(ALICE, ["memory", "n2"]) == before
        assert len((await store.candidates(query(ALICE))).candidates) == 1
        assert await store.add(ALICE, [memory(ALICE, 2)]) == [WriteStatus.STORED]


async def _write_until_refused(store: EmbeddedStore) -> tuple[int, BackendRejected]:
    """How many memories were acknowledged, and what the next call raised."""
    stored = 0
    while True:
        try:
            await store.add(ALICE, memories(ALICE, 20, first=stored))
        except BackendRejected as refusal:
            return stored, refusal
        stored += 20


async def test_closing_on_a_full_disk_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On a disk without a free byte reads go on, `close` leaves the log, and the next open reads it."""
    folder = tmp_path / "disk"
    with small_disk(folder, 2_048):
        path = folder / "memories.db"
        store = embedded(path, synchronous="full")
        await store.open()
        stored, refusal = await _write_until_refused(store)
        assert f"embedded add: {path}: database or disk is full" in refusal.message
        assert "free space" in refusal.hint
        filler = fill(folder)
        assert await store.count(ALICE) == stored
        with caplog.at_level(logging.WARNING, "router_memory.embedded"):
            await store.close()
        assert "could not be emptied" in caplog.text
        assert str(path) in caplog.text
        async with opened(path) as again:  # still full: an operator looks at it
            assert await again.count(ALICE) == stored
            assert (await again.stats()).memories == stored
        filler.unlink()
        async with opened(path) as again:
            assert await again.contains(ALICE, ids(memories(ALICE, stored))) == frozenset(ids(memories(ALICE, stored)))


async def test_closing_a_file_that_may_not_grow_is_no_failure(tmp_path: Path) -> None:
    """The page limit that stands for a full disk is still in force when the store is closed."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, memories(ALICE, 5))
        store._usable("test").connections.writer.execute("PRAGMA max_page_count = 1")
        with pytest.raises(BackendRejected, match="free space"):
            await store.add(ALICE, memories(ALICE, 500, first=5))
    async with opened(path) as store:
        assert await store.count(ALICE) == 5


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """No file of this process grows past `size` inside the block: writing fails with an I/O error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_an_io_error_at_close_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log that could not be moved into the file is read at the next open."""
    path = tmp_path / "memories.db"
    store = embedded(path)
    await store.open()
    await store.add(ALICE, memories(ALICE, 50))
    with caplog.at_level(logging.WARNING, "router_memory.embedded"), _largest_file(path.stat().st_size):
        await store.close()
    assert "could not be emptied" in caplog.text
    async with opened(path) as store:
        assert await store.count(ALICE) == 50


async def test_closing_waits_for_nobody(tmp_path: Path) -> None:
    """Another connection's write lock does not hold up `close`, however long writes may wait."""
    path = tmp_path / "memories.db"
    store = embedded(path, busy_timeout_ms=4_000)
    await store.open()
    await store.add(ALICE, memories(ALICE, 3))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    await store.close()
    assert time.monotonic() - began < 2
    other.execute("ROLLBACK")
    other.close()
    async with opened(path) as store:
        assert await store.count(ALICE) == 3


async def test_stats_notice_damaged_pages(tmp_path: Path) -> None:
    """A file whose damage no read has met yet is reported with its path and what to do, and stays as it is."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, memories(ALICE, 300))
        assert (await store.stats()).details["check"] == "ok"
    page, data = 8_192, path.read_bytes()
    middle = len(data) // page * 3 // 4 * page  # behind the roots of the tables, which opening reads
    data = data[:middle] + b"\xa5" * 2 * page + data[middle + 2 * page :]
    path.write_bytes(data)
    async with opened(path) as store:
        assert await store.count(ALICE) == 300
        with pytest.raises(BackendRejected, match="damaged") as caught:
            await store.stats()
    assert str(path) in caught.value.message
    assert ".recover" in caught.value.hint
    assert "backup" in caught.value.hint
    assert path.read_bytes() == data


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
        with pytest.raises(BackendTimeout, match=str(path)):
            await store.forget(ALICE, ["x"])
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
        await two.update(ALICE, first.record.id, change(memory(ALICE, 3, content="replaced")))
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
    """After kill -9 every acknowledged memory is there, whole, and the statistics are exact (reference defect 8)."""
    acknowledged = _kill_while_writing(tmp_path / "memories.db", 200)
    await _check_after_kill(tmp_path / "memories.db", acknowledged)
