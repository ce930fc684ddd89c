"""Ends: of the service in order, of a worker by accident, of the parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.interfaces.serving.chats import Chats
from tests.interfaces.serving.running import gone
from tests.interfaces.serving.upstream import Upstream

if TYPE_CHECKING:
    from tests.interfaces.serving.conftest import Start
    from tests.interfaces.serving.running import Running


def stored(database: Path) -> str:
    """Everything in the store, as one text."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        return "\n".join(connection.iterdump())


@pytest.fixture
def serving(start: Start, upstream: Upstream) -> Running:
    return start("--workers", "2", service={"upstream": {"url": upstream.url}}).ready()


async def test_sigterm_under_load_loses_no_turn(serving: Running, tmp_path: Path) -> None:
    """Every turn whose reply a client has received to the end is in the store afterwards."""
    chats = Chats()
    clients = await chats.run(serving.url, 8)
    serving.signal(signal.SIGTERM)
    assert await asyncio.to_thread(serving.ended) == 0
    chats.stopping = True
    await asyncio.gather(*clients)
    kept = stored(tmp_path / "memory.db")
    lost = [text for text in chats.done if text not in kept]
    assert (lost, len(chats.done) >= 8) == ([], True)


async def test_a_stream_under_way_is_finished(start: Start, tmp_path: Path) -> None:
    """It is the last thing the service does, and its turn is stored."""
    upstream = Upstream(delay=0.1).start()
    running = start(service={"upstream": {"url": upstream.url}}).ready()
    chats = Chats()
    client = asyncio.create_task(chats.client(running.url, "ana"))
    await asyncio.to_thread(running.until, lambda: running.under_way() == 1)
    chats.stopping = True
    running.signal(signal.SIGTERM)
    await client
    assert await asyncio.to_thread(running.ended) == 0
    assert (len(chats.done), chats.failed) == (1, [])
    assert chats.done[0] in stored(tmp_path / "memory.db")
    upstream.close()


async def test_what_takes_longer_than_the_time_is_cut_off(start: Start) -> None:
    upstream = Upstream(delay=60).start()
    running = start(service={"upstream": {"url": upstream.url}, "drain_seconds": 0.5}).ready()
    chats = Chats()
    client = asyncio.create_task(chats.client(running.url, "ana"))
    await asyncio.to_thread(running.until, lambda: running.under_way() == 1)
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    await asyncio.to_thread(running.ended)
    assert time.monotonic() - began < 30
    chats.stopping = True
    await client
    assert chats.done == []
    upstream.close()


async def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    upstream = Upstream(delay=60).start()
    running = start(service={"upstream": {"url": upstream.url}, "drain_seconds": 600}).ready()
    workers = running.workers()
    client = asyncio.create_task(Chats().client(running.url, "ana"))
    await asyncio.to_thread(running.until, lambda: running.under_way() == 1)
    running.signal(signal.SIGINT)
    running.until(lambda: "ending" in running.err)
    running.signal(signal.SIGINT)
    assert await asyncio.to_thread(running.ended) == 1
    assert all(gone(pid) for pid in workers)
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)
    upstream.close()


def test_a_worker_that_is_killed_is_replaced_while_the_others_go_on(serving: Running) -> None:
    first, second = serving.workers()
    os.kill(first, signal.SIGKILL)
    for _ in range(20):
        assert httpx.get(f"{serving.url}/livez", timeout=60).status_code == 200
    serving.until(lambda: len(set(serving.workers()) - {first}) == 2)
    assert second in serving.workers()
    assert sum(worker["restarts"] for worker in serving.state()["workers"]) == 1


def test_a_worker_that_hangs_is_killed_and_replaced(start: Start) -> None:
    tempo = {"TEST_TEMPO": '{"ping": 0.1, "silences": 3}'}
    running = start("--workers", "2", environment=tempo).ready()
    first, second = running.workers()
    os.kill(first, signal.SIGSTOP)
    running.until(lambda: gone(first))
    running.until(lambda: len(set(running.workers()) - {first}) == 2)
    assert second in running.workers()


def test_a_service_without_any_worker_gives_up(start: Start) -> None:
    """Whoever looks after it may have another place for it."""
    running = start(environment={"TEST_WORKER": "tests.interfaces.serving.failing"}).ready()
    (running.file.parent / "fail").touch()
    os.kill(running.workers()[0], signal.SIGKILL)
    assert running.ended() == 1
    assert "router-memory: error: a worker ended at its start: exit code 1" in running.err


def test_a_worker_that_starts_while_the_configuration_changes_gets_the_new_one(serving: Running) -> None:
    first, _ = serving.workers()
    os.kill(first, signal.SIGKILL)
    serving.until(lambda: gone(first))
    assert serving.reload().json()["generation"] == 2
    serving.until(lambda: len(set(serving.workers()) - {first}) == 2)
    assert [worker["generation"] for worker in serving.state()["workers"]] == [2, 2]


def test_a_worker_told_to_end_is_replaced(shared: Running) -> None:
    """SIGTERM to a worker alone drains it."""
    first, _ = shared.workers()
    os.kill(first, signal.SIGTERM)
    shared.until(lambda: gone(first))
    shared.until(lambda: len(set(shared.workers()) - {first}) == 2)


def test_workers_end_with_their_parent(start: Start, tmp_path: Path) -> None:
    running = start("--workers", "2").ready()
    workers = running.workers()
    running.close()  # kill -9
    running.until(lambda: all(gone(pid) for pid in workers))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{running.url}/livez")
    running.until(lambda: not list(running.file.parent.glob("router-memory-metrics-*")))


def test_metrics_of_a_dead_worker_are_kept_and_its_folder_goes_with_the_service(start: Start) -> None:
    running = start("--workers", "1").ready()
    for _ in range(5):
        httpx.get(f"{running.url}/livez")
    (worker,) = running.workers()
    os.kill(worker, signal.SIGKILL)
    running.until(lambda: gone(worker))
    assert 'route="/livez",status="2xx"} 5' in httpx.get(f"{running.url}/metrics", timeout=60).text
    running.signal(signal.SIGTERM)
    assert running.ended() == 0
    assert not list(running.file.parent.glob("router-memory-metrics-*"))
