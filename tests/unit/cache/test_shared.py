"""Level 2 as requests meet it, over a server that does what servers do."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from router_memory.cache import Meters, SharedCache, codec, purges, vector_key
from router_memory.cache import breaker as breaker_module
from router_memory.cache import shared as module
from router_memory.types import Looked
from tests.doubles import HashingEmbedder
from tests.doubles_cache import MemoryHotCache
from tests.unit.cache.parts import (
    ALICE,
    AWAY,
    BOB,
    REFUSALS,
    Clock,
    answer,
    asked,
    filled,
    settled,
    shared_cache,
)

if TYPE_CHECKING:
    from router_memory.errors import BackendError

QUERY = asked()
ANSWER = answer("green tea", "black tea")


async def test_an_answer_comes_back(shared: SharedCache, counters: Counter[str]) -> None:
    """Only in the state of the data that it is of."""
    key = await filled(shared)
    looked = await shared.look(QUERY, key)
    got = shared.read(looked, QUERY, key, "one")
    assert got is not None
    assert list(got.records) == list(ANSWER.records)
    assert shared.read(looked, QUERY, key, "two") is None
    assert shared.read(None, QUERY, key, "one") is None
    assert shared.read(Looked(None), QUERY, key, "one") is None
    assert [counters["cache.fill.kept"], counters["cache.level 2.dead"]] == [1, 1]
    assert counters["cache.fill.bytes"] > 0


async def test_nobody_else_gets_it(shared: SharedCache) -> None:
    """Nor does another question of the same user."""
    key = await filled(shared)
    for query in (asked(scope=BOB), asked("black tea"), asked(lexical=False)):
        looked = await shared.look(query, shared.key(query))
        assert looked == Looked(None)
    looked = await shared.look(QUERY, key)
    other = asked(scope=BOB)
    assert shared.read(looked, other, shared.key(other), "one") is None  # even where a server mixes them up


@pytest.mark.parametrize("value", [b"", b"foreign", b"rmhc" + bytes(300), bytes(5_000)])
async def test_what_cannot_be_read_is_a_miss(
    shared: SharedCache, counters: Counter[str], caplog: pytest.LogCaptureFixture, value: bytes
) -> None:
    """Counted each time, and said once a minute."""
    for _ in range(5):
        assert shared.read(Looked(value), QUERY, shared.key(QUERY), "one") is None
    assert [counters["cache.level 2.unreadable"], len(caplog.records)] == [5, 1]


@pytest.mark.parametrize("failure", [*AWAY, *REFUSALS], ids=lambda failure: type(failure).__name__)
async def test_every_failure_is_a_miss(
    shared: SharedCache, server: MemoryHotCache, counters: Counter[str], failure: BackendError
) -> None:
    """Whichever call it was."""
    key, vector = shared.key(QUERY), np.full(64, 0.125, np.float32)
    server.failure = failure
    assert await shared.look(QUERY, key) is None
    assert await shared.look_vector("tea", within=1.0) is None
    shared._health._breaker.succeeded()
    shared.keep(QUERY, key, ANSWER, b"")
    shared.keep_vector("tea", vector)
    await settled(shared)
    shared._health._breaker.succeeded()
    await shared.purge(ALICE)
    assert [counters[f"cache.{what}.failed"] for what in ("look", "fill", "purge")] == [2, 2, 1]
    server.failure = None
    assert await shared.look(QUERY, key) == Looked(None)
    assert await shared.look_vector("tea", within=1.0) is None


@pytest.mark.parametrize("failure", REFUSALS, ids=lambda failure: type(failure).__name__)
async def test_a_server_that_refuses_is_there(
    shared: SharedCache, server: MemoryHotCache, failure: BackendError, caplog: pytest.LogCaptureFixture
) -> None:
    """One key too large, or one right too few, keeps nobody else off. It is said once a minute."""
    server.failure = failure
    for _ in range(10):
        await shared.look(QUERY, shared.key(QUERY))
    assert [shared.breaker, len(server.calls), len(caplog.records)] == ["closed", 10, 1]


@pytest.mark.parametrize("failure", AWAY, ids=lambda failure: type(failure).__name__)
async def test_a_server_that_is_away_is_left_aside_and_found_again(
    shared: SharedCache,
    server: MemoryHotCache,
    counters: Counter[str],
    failure: BackendError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A look suspends nowhere meanwhile; somebody asks beside it, and the first answer takes it back."""
    clock = Clock()
    monkeypatch.setattr(breaker_module, "monotonic", clock)
    key = shared.key(QUERY)
    server.failure = failure
    for _ in range(3):
        assert await shared.look(QUERY, key) is None
    assert shared.breaker == "open"
    calls = len(server.calls)
    for looking in (shared.look(QUERY, key), shared.look_vector("tea", within=1.0)):
        with pytest.raises(StopIteration) as end:
            looking.send(None)
        assert end.value.value is None
    assert [len(server.calls), counters["cache.level 2.skipped"]] == [calls, 2]
    clock.now += 5
    for _ in range(4):
        assert await shared.look(QUERY, key) is None
    await settled(shared)
    assert [len(server.calls), shared.breaker, counters["cache.probe.failed"]] == [calls + 1, "open", 1]
    server.failure = None
    clock.now += 5
    assert await shared.look(QUERY, key) is None
    await settled(shared)
    assert [shared.breaker, await shared.look(QUERY, key)] == ["closed", Looked(None)]


async def test_nothing_is_written_while_it_is_away(shared: SharedCache, server: MemoryHotCache) -> None:
    """Of vectors; answers are not kept where no look succeeded."""
    server.failure = AWAY[0]
    for _ in range(3):
        await shared.look(QUERY, shared.key(QUERY))
    calls = len(server.calls)
    shared.keep_vector("tea", np.full(64, 0.125, np.float32))
    await settled(shared)
    assert len(server.calls) == calls


async def test_a_fill_from_before_a_purge_is_refused(
    shared: SharedCache, server: MemoryHotCache, counters: Counter[str]
) -> None:
    """It shows the lease of its own look."""
    key = shared.key(QUERY)
    looked = await shared.look(QUERY, key)
    assert looked is not None
    await shared.purge(ALICE)
    shared.keep(QUERY, key, ANSWER, looked.lease)
    await settled(shared)
    assert [counters["cache.fill.refused"], counters["cache.purge"]] == [1, 1]
    assert (await server.get(ALICE.user_digest, key, within=1)).value is None
    await filled(shared)
    assert counters["cache.fill.kept"] == 1


async def test_what_cannot_be_written_is_not_kept(shared: SharedCache, counters: Counter[str]) -> None:
    """And nobody sees an error."""
    shared.keep(QUERY, shared.key(QUERY), answer("green tea", question="tea \ud800"), b"")
    await settled(shared)
    assert counters["cache.fill.unfit"] == 1


async def test_an_answer_too_long_to_be_read_is_not_kept(
    shared: SharedCache,
    server: MemoryHotCache,
    counters: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted each time, and said once a minute."""
    monkeypatch.setattr(codec, "MOST_BYTES", len(codec._body(ANSWER)) - 1)
    for _ in range(3):
        shared.keep(QUERY, shared.key(QUERY), ANSWER, b"")
        await settled(shared)
    assert [counters["cache.fill.unfit"], counters["cache.fill.kept"], server.calls] == [3, 0, []]
    assert ["too long" in record.getMessage() for record in caplog.records] == [True]
    monkeypatch.undo()
    await filled(shared)
    assert counters["cache.fill.kept"] == 1


@pytest.mark.parametrize("most", [0, 10**9])
async def test_large_answers_are_encoded_beside_the_event_loop(
    shared: SharedCache, counters: Counter[str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Small ones are not: the way to a thread costs more than they do."""
    threads: list[threading.Thread] = []

    def watched(*args: Any, **options: Any) -> bytes:
        threads.append(threading.current_thread())
        return codec.encode(*args, **options)

    monkeypatch.setattr(module, "_LARGE_BYTES", most)
    monkeypatch.setattr(module, "encode", watched)
    key = await filled(shared)
    assert [thread is threading.main_thread() for thread in threads] == [most > 0]
    got = shared.read(await shared.look(QUERY, key), QUERY, key, "one")
    assert got is not None
    assert [list(got.records), counters["cache.fill.kept"]] == [list(ANSWER.records), 1]


async def test_values_are_written_when_the_request_is_answered(
    shared: SharedCache, server: MemoryHotCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would take the event loop from it."""
    monkeypatch.setattr("router_memory.cache.lull._AFTER_SECONDS", 0.05)
    began = time.perf_counter()
    shared.keep(QUERY, shared.key(QUERY), ANSWER, b"")
    shared.keep_vector("tea", np.full(64, 0.125, np.float32))
    for _ in range(10):
        await asyncio.sleep(0)
    assert server.calls == []
    await settled(shared)
    assert sorted(server.calls) == ["put", "put_vector"]
    assert time.perf_counter() - began >= 0.05


async def test_fills_in_the_background_are_bounded(
    shared: SharedCache, server: MemoryHotCache, counters: Counter[str]
) -> None:
    """A server that hangs gathers no heap of them."""
    server.gate.clear()
    for number in range(module._BACKGROUND + 10):
        query = asked(str(number))
        shared.keep(query, shared.key(query), ANSWER, b"")
    assert [len(shared._tasks), counters["cache.fill.dropped"]] == [module._BACKGROUND, 10]
    server.gate.set()
    await settled(shared)
    assert [len(shared._tasks), counters["cache.fill.kept"]] == [0, module._BACKGROUND]


async def test_an_error_of_our_own_in_the_background_is_logged(
    shared: SharedCache, server: MemoryHotCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is nobody's who asks, yet somebody must learn of it."""

    async def broken(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(server, "put", broken)
    shared.keep(QUERY, shared.key(QUERY), ANSWER, b"")
    await settled(shared)
    await asyncio.sleep(0)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_it_closes_in_time(
    server: MemoryHotCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever hangs; what could not be purged is said."""
    for each in (module, purges):
        monkeypatch.setattr(each, "_BACKGROUND_SECONDS", 0.05)
    shared = shared_cache(server, HashingEmbedder(), Meters(Counter()), timeout=0.01)
    server.gate.clear()
    shared.keep(QUERY, shared.key(QUERY), ANSWER, b"")
    await shared.purge(ALICE)
    await asyncio.sleep(0)
    began = time.perf_counter()
    await shared.close()
    assert time.perf_counter() - began < 0.9
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert "1 users could not be taken away" in caplog.text
    await shared.close()


async def test_after_its_end_it_begins_nothing(server: MemoryHotCache) -> None:
    """A task that nobody ends would be destroyed with the loop."""
    shared = shared_cache(server, HashingEmbedder(), Meters(Counter()), timeout=0.01)
    await shared.close()
    server.gate.clear()
    shared.keep_vector("tea", np.full(64, 0.125, np.float32))
    await shared.purge(ALICE)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert not left


async def test_vectors_come_back(shared: SharedCache, server: MemoryHotCache, counters: Counter[str]) -> None:
    """Nearly as they were; damaged ones are a miss."""
    vector = await HashingEmbedder().embed_query("green tea")
    shared.keep_vector("green tea", vector)
    await settled(shared)
    got = await shared.look_vector("green tea", within=1.0)
    assert got is not None
    assert float(got @ vector) > 1 - 1e-4
    assert await shared.look_vector("black tea", within=1.0) is None
    server._vectors = {key: (b"foreign", until) for key, (_, until) in server._vectors.items()}
    assert [await shared.look_vector("green tea", within=1.0), counters["cache.level 2.unreadable"]] == [None, 1]


async def test_a_vector_of_another_text_is_refused(
    shared: SharedCache, server: MemoryHotCache, counters: Counter[str]
) -> None:
    """A server that mixes keys up, or somebody who moves them, changes no search."""
    shared.keep_vector("green tea", await HashingEmbedder().embed_query("green tea"))
    await settled(shared)
    (held,) = server._vectors.values()
    server._vectors[vector_key("black tea", shared._fingerprint)] = held
    assert [await shared.look_vector("black tea", within=1.0), counters["cache.level 2.unreadable"]] == [None, 1]
    assert shared.read_vector(held[0], "black tea") is None
    assert shared.read_vector(held[0], "green tea") is not None
    assert shared.read_vector(None, "green tea") is None


async def test_a_look_brings_the_vector_too(shared: SharedCache, server: MemoryHotCache) -> None:
    """In the same call, where it is wanted."""
    vector = await HashingEmbedder().embed_query("green tea")
    shared.keep_vector("green tea", vector)
    await settled(shared)
    server.calls.clear()
    key = shared.key(QUERY)
    with_it, other, without = [await shared.look(QUERY, key, text=text) for text in ("green tea", "black tea", None)]
    assert with_it is not None
    got = shared.read_vector(with_it.vector, "green tea")
    assert got is not None
    assert float(got @ vector) > 1 - 1e-4
    assert [with_it.value, other, without, server.calls] == [None, Looked(None), Looked(None), ["get"] * 3]


@pytest.mark.parametrize("within", [0.02, 60.0])
async def test_a_look_for_a_vector_takes_what_is_left_and_no_more_than_a_look(
    server: MemoryHotCache, counters: Counter[str], within: float
) -> None:
    """The lesser of the two."""
    shared = shared_cache(server, HashingEmbedder(), Meters(counters), timeout=0.05)
    server.gate.clear()
    began = time.perf_counter()
    assert await shared.look_vector("tea", within=within) is None
    assert min(within, 0.05) - 0.01 <= time.perf_counter() - began < 0.5
    assert counters["cache.look.failed"] == 1
    await shared.close()


async def test_without_time_no_vector_is_kept(server: MemoryHotCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor looked for."""
    shared = SharedCache(
        server,
        embedder=HashingEmbedder(),
        timeout=1,
        ttl=60,
        vector_ttl=0,
        meters=Meters(Counter()),
    )
    shared.keep_vector("tea", np.full(64, 0.125, np.float32))
    assert [await shared.look_vector("tea", within=1.0), server.calls, shared._tasks] == [None, [], set()]
    vectors: list[bytes | None] = []
    whole = server.get

    async def watched(user: str, field: bytes, *, vector: bytes | None = None, within: float) -> Looked:
        vectors.append(vector)
        return await whole(user, field, vector=vector, within=within)

    monkeypatch.setattr(server, "get", watched)
    assert [await shared.look(QUERY, shared.key(QUERY), text="tea"), vectors] == [Looked(None), [None]]
    await shared.close()
