"""The synchronous facade."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from router_memory import MemoryPlugin, Scope, SyncMemory, WriteStatus
from router_memory.config import load_config
from router_memory.errors import BackendUnavailable, InvalidRequest, SyncCallInLoop
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder

ANA = Scope("ana")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SyncMemory]:
    section = {"enabled": True, "auto_store": True, "embedded": {"path": str(tmp_path / "memory.db")}}
    source = {"global": {"stores": {"memory": section}}}
    with SyncMemory(MemoryPlugin(Assembly(load_config(source), HashingEmbedder))) as opened:
        yield opened


def test_it_offers_the_methods_of_the_plugin() -> None:
    """One product, two ways to call it."""

    def public(kind: type) -> set[str]:
        return {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}

    assert public(SyncMemory) == public(MemoryPlugin)


def test_a_whole_turn(memory: SyncMemory) -> None:
    """Request, reply, receipt, search."""
    outcome = memory.on_request(
        decision=None, user_id="ana", messages=[{"role": "user", "content": "I moved to Porto"}]
    )
    receipt = memory.on_response(outcome, "Noted: Porto.")
    assert [result.status for result in receipt.wait()] == [WriteStatus.STORED] * 2
    assert receipt.done
    assert memory.search(ANA, "moved to Porto", limit=1, threshold=0.0)[0].record.content == "I moved to Porto"


def test_it_serves_many_threads(memory: SyncMemory) -> None:
    """Calls from different threads share one loop."""
    threads = [threading.Thread(target=memory.add, args=(ANA, f"fact number {n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.count(ANA) == 8


async def test_a_running_loop_is_not_blocked(memory: SyncMemory) -> None:
    """The error names the method to await instead."""
    with pytest.raises(SyncCallInLoop, match=r"await MemoryPlugin\.count"):
        memory.count(ANA)


def test_errors_come_through(memory: SyncMemory) -> None:
    """With their types."""
    with pytest.raises(InvalidRequest):
        memory.add(ANA, "")


def test_use_before_and_after_is_refused(memory: SyncMemory) -> None:
    """With a hint how to open it."""
    memory.close()
    with pytest.raises(BackendUnavailable, match=r"SyncMemory\.open"):
        memory.count(ANA)


def test_closing_ends_the_thread(memory: SyncMemory) -> None:
    """Nothing is left behind."""
    memory.close()
    memory.close()
    assert not any(thread.name == "router-memory-loop" for thread in threading.enumerate())


async def test_closing_in_a_running_loop_is_refused_and_loses_nothing(memory: SyncMemory) -> None:
    """The loop goes on and a later close writes what was accepted."""
    with pytest.raises(SyncCallInLoop):
        memory.close()
    assert any(thread.name == "router-memory-loop" for thread in threading.enumerate())


def test_closing_frees_threads_that_wait(memory: SyncMemory) -> None:
    """A call that is under way ends with a typed error instead of waiting for ever."""
    ended: list[type[BaseException]] = []
    started = threading.Event()

    async def never() -> None:
        started.set()
        await asyncio.Event().wait()

    def call() -> None:
        try:
            memory._run("never", never())
        except BackendUnavailable as error:
            ended.append(type(error))

    thread = threading.Thread(target=call)
    thread.start()
    started.wait()
    memory.close()
    thread.join()
    assert ended == [BackendUnavailable]
