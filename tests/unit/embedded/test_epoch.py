"""The epoch of the embedded store is read on the event loop: at once, whoever writes, and only what is committed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.embedded.connection import connect
from router_memory.errors import BackendRejected, BackendUnavailable
from router_memory.types import Scope
from tests.contract.samples import ids, memory
from tests.unit.embedded.stores import embedded, opened
from tests.unit.embedded.test_processes import another_process

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory.backends.embedded import EmbeddedStore

ALICE, BOB = Scope("alice"), Scope("bob")


def at_once(store: EmbeddedStore, scope: Scope = ALICE) -> str:
    """The epoch, which the event loop did not have to wait for."""
    reading = store.epoch(scope)
    try:
        reading.send(None)
    except StopIteration as done:
        return str(done.value)
    finally:
        reading.close()
    pytest.fail("the epoch was waited for")


async def test_it_is_there_before_the_event_loop_turns(tmp_path: Path) -> None:
    """With data and without."""
    async with opened(tmp_path / "memories.db") as store:
        assert at_once(store) == ""
        await store.add(ALICE, [memory(ALICE, 1)])
        assert at_once(store) == (await store.statistics(ALICE, [])).epoch != ""
        await store.forget_scope(ALICE)
        assert at_once(store) == ""


async def test_a_write_transaction_neither_holds_it_up_nor_shows(tmp_path: Path) -> None:
    """It is that of the last commit while another connection writes, and that connection's once it has committed."""
    path = tmp_path / "memories.db"
    async with opened(path, busy_timeout_ms=60_000) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        before = at_once(store)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE users SET epoch = 'another'")
            assert at_once(store) == before
            other.execute("COMMIT")
            assert at_once(store) == "another"
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM users")
            assert at_once(store) == "another"
            other.execute("ROLLBACK")
        assert at_once(store) == "another"


async def test_it_shows_what_another_process_committed(tmp_path: Path) -> None:
    """As soon as that process says so."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        with another_process(path) as other:
            seen = [at_once(store)]
            for command in ("add 1", "add 2", "forget 1", "add 3"):
                other.ask(command)
                seen.append(at_once(store))
                assert seen[-1] == (await store.statistics(ALICE, [])).epoch
            assert len(set(seen)) == len(seen)
            other.ask("add 3")
            other.ask("search")
            assert at_once(store) == seen[-1]
            other.ask("forget 2 3")
            assert at_once(store) == ""


async def test_two_stores_on_one_file_and_one_opened_later_agree(tmp_path: Path) -> None:
    """It is in the file and nowhere else."""
    path = tmp_path / "memories.db"
    async with opened(path) as one, opened(path) as two:
        await one.add(ALICE, [memory(ALICE, 1)])
        first = at_once(two)
        assert at_once(one) == first != ""
        await two.add(ALICE, [memory(ALICE, 2)])
        last = at_once(one)
        assert at_once(two) == last != first
        await two.touch(ALICE, ids([memory(ALICE, 1)]), memory(ALICE, 1).record.created_at)
        assert at_once(one) == last
    async with opened(path) as again:
        assert at_once(again) == last


async def test_it_leaves_no_transaction_open(tmp_path: Path) -> None:
    """The write-ahead log can be emptied afterwards, which no reader of an old state would allow."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        for scope in (ALICE, BOB):
            at_once(store, scope)
            await store.add(ALICE, [memory(ALICE, 2)])
            with closing(sqlite3.connect(path, timeout=0)) as other:
                assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


async def test_a_lock_in_the_way_is_waited_for_on_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection that waits for nobody meets a lock; a reading one answers."""
    locked = tmp_path / "locked.db"
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        epoch = at_once(store)
        with closing(sqlite3.connect(locked, isolation_level=None)) as holder, monkeypatch.context() as patched:
            holder.execute("CREATE TABLE users (digest, user_id, epoch)")
            refused = connect(locked, read_only=True, busy_timeout_ms=0)
            holder.execute("BEGIN EXCLUSIVE")
            patched.setattr(store._usable("test").connections, "_inline", refused)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                refused.execute("SELECT * FROM users")
            assert await store.epoch(ALICE) == epoch
            refused.close()


async def test_its_connection_waits_for_no_lock(tmp_path: Path) -> None:
    """Whatever the store's other connections do."""
    async with opened(tmp_path / "memories.db", busy_timeout_ms=60_000) as store:
        inline = store._usable("test").connections._inline
        assert inline.execute("PRAGMA busy_timeout").fetchone() == (0,)


async def test_another_user_under_ones_digest_is_refused(tmp_path: Path) -> None:
    """As by every other call."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE users SET user_id = 'mallory'")
        with pytest.raises(BackendRejected, match="another user") as caught:
            await store.epoch(ALICE)
        assert (caught.value.operation, "mallory" in str(caught.value)) == ("epoch", False)


async def test_what_cannot_be_read_is_a_typed_error(tmp_path: Path) -> None:
    """A text that is no text, and a table that is gone."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE users SET epoch = CAST(x'ff' AS TEXT)")
        with pytest.raises(BackendRejected, match="not UTF-8"):
            await store.epoch(ALICE)
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("ALTER TABLE users RENAME TO lost")
        with pytest.raises(BackendRejected, match="no such table"):
            await store.epoch(ALICE)


async def test_there_is_none_before_open_and_after_close(tmp_path: Path) -> None:
    """Both are the typed error."""
    store = embedded(tmp_path / "memories.db")
    with pytest.raises(BackendUnavailable, match="not open"):
        await store.epoch(ALICE)
    await store.open()
    assert at_once(store) == ""
    await store.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        await store.epoch(ALICE)
