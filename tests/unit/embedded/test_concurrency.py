"""Loads that take long, background work that fails, and calls that meet in the middle."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.embedded import dots, large, snapshots
from router_memory.backends.embedded import snapshot as snapshot_module
from router_memory.backends.embedded.builder import GraphBuilder
from router_memory.backends.embedded.graph import Graph
from router_memory.errors import BackendRejected
from router_memory.types import MemoryChange, MemoryType, Scope, WriteStatus
from tests.contract.samples import START, change, ids, memories, memory, query
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

ALICE, BOB = Scope("alice"), Scope("bob")
PATIENCE = 5.0


class Loads:
    """Stands in for `load`: counts its calls, and holds them while `gate` is closed."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self._load = snapshot_module.load

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        error, self.error = self.error, None
        if error is not None:
            raise error
        return self._load(*arguments)

    async def under_way(self) -> None:
        """Waits until one has begun."""
        assert await asyncio.to_thread(self.begun.wait, PATIENCE)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    """Every load counts as one that takes long."""
    double = Loads()
    monkeypatch.setattr(snapshots, "load", double)
    monkeypatch.setattr(snapshots, "_AT_ONCE", 0)
    return double


async def test_a_cold_user_is_loaded_once_and_stalls_nobody(tmp_path: Path, loads: Loads) -> None:
    """Searches of that user wait for one load; look-ups and another user's search do not wait."""
    async with opened(tmp_path / "memories.db", readers=2) as store:
        await store.add(ALICE, memories(ALICE, 5))
        await store.add(BOB, memories(BOB, 3))
        await store.candidates(query(BOB))
        loads.calls = 0
        loads.begun.clear()
        loads.gate.clear()
        searches = [asyncio.ensure_future(store.candidates(query(ALICE))) for _ in range(6)]
        await loads.under_way()
        async with asyncio.timeout(PATIENCE / 2):
            assert (await store.statistics(BOB, ["memory"])).frequency == {"memory": 3}
            assert await store.count(ALICE) == 5
            assert len((await store.candidates(query(BOB))).candidates) == 3
        assert not any(search.done() for search in searches)
        loads.gate.set()
        assert [len(result.candidates) for result in await asyncio.gather(*searches)] == [5] * 6
        assert loads.calls == 1


async def test_cold_users_leave_a_reader_to_the_warm(tmp_path: Path, loads: Loads) -> None:
    """Loads of several users at once do not take every reader."""
    async with opened(tmp_path / "memories.db", readers=2) as store:
        cold = [Scope(f"user {number}") for number in range(4)]
        for scope in (*cold, BOB):
            await store.add(scope, memories(scope, 2))
        await store.candidates(query(BOB))
        loads.begun.clear()
        loads.gate.clear()
        searches = [asyncio.ensure_future(store.candidates(query(scope))) for scope in cold]
        await loads.under_way()
        async with asyncio.timeout(PATIENCE / 2):
            assert len((await store.candidates(query(BOB))).candidates) == 2
        loads.gate.set()
        assert [len(result.candidates) for result in await asyncio.gather(*searches)] == [2] * 4


async def test_a_large_user_without_a_graph_leaves_a_reader_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at all of a million vectors takes seconds: one call does it, the others wait without a reader."""
    begun, gate = threading.Event(), threading.Event()
    scans = 0

    top_owners = dots.top_owners

    def slow(*arguments: Any) -> list[int]:
        nonlocal scans
        scans += 1
        begun.set()
        assert gate.wait(PATIENCE)
        return top_owners(*arguments)

    monkeypatch.setattr(large, "top_owners", slow)
    monkeypatch.setattr(large, "_LOOKED_AT_AT_ONCE", 4, raising=False)
    monkeypatch.setattr(GraphBuilder, "graph", lambda *_: None)
    async with opened(tmp_path / "memories.db", promote_at=4, readers=2) as store:
        await store.add(ALICE, memories(ALICE, 5))
        await store.add(BOB, memories(BOB, 3))
        searches = [asyncio.ensure_future(store.candidates(query(ALICE))) for _ in range(6)]
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        for hopeless in searches[3:]:
            hopeless.cancel()
        async with asyncio.timeout(PATIENCE / 2):
            assert len((await store.candidates(query(BOB))).candidates) == 3
        gate.set()
        assert [len(result.candidates) for result in await asyncio.gather(*searches[:3])] == [5] * 3
    assert scans == 3


async def test_a_cancelled_search_leaves_its_load_to_the_others(tmp_path: Path, loads: Loads) -> None:
    """Who waits for it gets it all the same."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, memories(ALICE, 5))
        loads.gate.clear()
        first = asyncio.ensure_future(store.candidates(query(ALICE)))
        await loads.under_way()
        second = asyncio.ensure_future(store.candidates(query(ALICE)))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        loads.gate.set()
        assert len((await second).candidates) == 5
        assert loads.calls == 1


async def test_a_load_that_fails_fails_one_search(tmp_path: Path, loads: Loads) -> None:
    """Those that waited for it try for themselves."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, memories(ALICE, 5))
        loads.error = OSError(5, "Input/output error")
        loads.gate.clear()
        searches = [asyncio.ensure_future(store.candidates(query(ALICE))) for _ in range(3)]
        await loads.under_way()
        await asyncio.sleep(0.05)
        loads.gate.set()
        outcomes = await asyncio.gather(*searches, return_exceptions=True)
        assert sum(isinstance(outcome, BaseException) for outcome in outcomes) == 1
        assert loads.calls == 2


async def test_a_search_sees_a_write_that_came_after_the_load_began(tmp_path: Path, loads: Loads) -> None:
    """A load that is under way may be too old for who comes later."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, memories(ALICE, 5))
        loads.gate.clear()
        first = asyncio.ensure_future(store.candidates(query(ALICE)))
        await loads.under_way()
        await store.add(ALICE, memories(ALICE, 2, first=5))
        second = asyncio.ensure_future(store.candidates(query(ALICE)))
        await asyncio.sleep(0.05)
        loads.gate.set()
        assert len((await first).candidates) == 5
        assert len((await second).candidates) == 7


async def test_changes_are_read_without_reading_all_again(tmp_path: Path, loads: Loads) -> None:
    """After updates and deletions the snapshot keeps what is the same and is as one loaded anew."""
    async with opened(tmp_path / "memories.db") as store:
        writes = [memory(ALICE, seed, rows=1 + seed % 3) for seed in range(30)]
        await store.add(ALICE, writes)
        first = await store.candidates(query(ALICE))
        await store.update(ALICE, writes[3].record.id, change(memory(ALICE, 103, rows=3)))
        await store.update(ALICE, writes[4].record.id, MemoryChange(at=START, type=MemoryType.EPISODIC))
        await store.forget(ALICE, ids(writes[10:20]))
        await store.add(ALICE, memories(ALICE, 3, first=50))
        await store.update(ALICE, writes[29].record.id, MemoryChange(at=START, importance=0.125))
        changed = await store.candidates(query(ALICE, stems=("memory",)))
        await store.add(ALICE, memories(ALICE, 2, first=60))
        extended = await store.candidates(query(ALICE, stems=("memory",)))
        assert loads.calls == 1
        same = {id(candidate.record) for candidate in first.candidates}
        assert sum(id(candidate.record) in same for candidate in changed.candidates) == 17
        async with opened(tmp_path / "memories.db") as other:
            anew = await other.candidates(query(ALICE, stems=("memory",)))
        assert loads.calls == 2
        assert [c.record for c in extended.candidates] == [c.record for c in anew.candidates]
        assert [c.document for c in extended.candidates] == [c.document for c in anew.candidates]
        assert [c.cosine for c in extended.candidates] == pytest.approx([c.cosine for c in anew.candidates], abs=1e-6)
        assert [c.parts for c in extended.candidates] == [c.parts for c in anew.candidates]


async def test_an_extension_that_fails_leaves_the_snapshot_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next search is right: nothing of the failed one is left in what snapshots share."""
    async with opened(tmp_path / "memories.db") as store:
        await store.add(ALICE, memories(ALICE, 3))
        await store.candidates(query(ALICE))
        await store.add(ALICE, memories(ALICE, 2, first=3))

        def no_room(*_: Any) -> Any:
            raise OSError(12, "Cannot allocate memory")

        with monkeypatch.context() as failing:
            failing.setattr(snapshot_module, "_starts", no_room)
            with pytest.raises(BackendRejected):
                await store.candidates(query(ALICE))
        await store.add(ALICE, [memory(ALICE, 5)])
        result = await store.candidates(query(ALICE))
        assert [candidate.record.id for candidate in result.candidates] == ids(memories(ALICE, 6))


async def test_a_defect_in_the_background_is_told_once_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Searches stay exact, and do not begin the build again and again."""
    attempts = 0

    def broken(*_: Any, **__: Any) -> None:
        nonlocal attempts
        attempts += 1
        raise RuntimeError("usearch has a defect")

    monkeypatch.setattr(Graph, "add", broken)
    with caplog.at_level(logging.DEBUG, "router_memory.embedded"):
        async with opened(tmp_path / "memories.db", promote_at=2) as store:
            await store.add(ALICE, memories(ALICE, 5))
            await store.settle()
            for _ in range(5):
                assert len((await store.candidates(query(ALICE))).candidates) == 5
                await store.settle()
    assert attempts == 1
    assert [record.levelname for record in caplog.records if record.name == "router_memory.embedded"] == ["ERROR"]


async def test_failed_builds_are_put_off_for_longer_and_longer(tmp_path: Path) -> None:
    """From a minute up to an hour; only the first failure is worth a word."""
    async with opened(tmp_path / "memories.db") as store:
        builder = store._usable("test").builder
        firsts = [builder._fails_first("digest") for _ in range(12)]
        assert firsts == [True] + [False] * 11
        until = builder._failed["digest"].until
        assert builder._fails_first("other")
        assert 3_000 < until - builder._failed["other"].until < 3_600


@pytest.mark.parametrize(
    "error",
    [RuntimeError("cannot schedule new futures after shutdown"), OSError(28, "No space left on device")],
    ids=["closing", "disk"],
)
async def test_a_committed_write_never_looks_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever happens when its graph is seen to, it is stored, and so it is reported."""

    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(GraphBuilder, "request", broken)
    async with opened(tmp_path / "memories.db", promote_at=0) as store:
        assert await store.add(ALICE, [memory(ALICE, 1)]) == [WriteStatus.STORED]
        assert await store.count(ALICE) == 1
