"""Candidates looked up without a cache."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import EmbeddingError
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.retrieval import DirectRetriever, Laps, Overloaded
from router_memory.ranking import calibration_for
from router_memory.types import CacheLevel, RecallPolicy
from tests.doubles import HashingEmbedder
from tests.unit.cache.parts import ALICE, BOB, WatchedStore, asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    made = WatchedStore(tmp_path / "memory.db")
    await made.open()
    await made.add_elsewhere(ALICE, "green tea", "black tea", "a bike")
    yield made
    await made.close()


async def test_it_finds_candidates_and_says_how_long_it_took(store: WatchedStore) -> None:
    """Stage by stage."""
    found = await DirectRetriever(store, HashingEmbedder()).retrieve(asked("tea"))
    assert {record.content for record in found.retrieval.records} >= {"green tea", "black tea"}
    assert [found.level, list(found.seconds)] == [CacheLevel.OFF, ["statistics", "embed", "candidates"]]
    assert found.retrieval.epoch == await store.epoch(ALICE)
    assert found.retrieval.coherent


async def test_a_user_without_memories_costs_no_embedding(store: WatchedStore) -> None:
    """And no search."""
    model = HashingEmbedder()
    found = await DirectRetriever(store, model).retrieve(asked("tea", BOB))
    assert [len(found.retrieval.records), model.queries, store.calls["candidates"]] == [0, [], 0]
    assert [found.retrieval.coherent, found.retrieval.epoch] == [True, ""]


async def test_without_words_only_the_nearest_are_found(store: WatchedStore) -> None:
    """As many as were asked for."""
    retriever = DirectRetriever(store, HashingEmbedder())
    for lexical, expected in ((True, 2), (False, 1)):
        found = await retriever.retrieve(asked("tea", lexical=lexical, dense_limit=1))
        assert len(found.retrieval.records) == expected


async def test_a_request_that_cannot_be_served_costs_the_store_nothing(store: WatchedStore) -> None:
    """The backlog is looked at first."""
    model = HashingEmbedder()
    model.backlog = 2.0
    with pytest.raises(Overloaded) as overloaded:
        await DirectRetriever(store, model).retrieve(asked(), until=time.perf_counter() + 1)
    assert [str(overloaded.value), store.calls, model.queries] == ["2000 ms backlog", {}, []]
    await DirectRetriever(store, model).retrieve(asked(), until=time.perf_counter() + 60)
    assert store.calls["candidates"] == 1


async def test_the_backlog_is_looked_at_again_before_embedding(store: WatchedStore) -> None:
    """A burst all saw an idle model before its statistics."""
    model = HashingEmbedder()
    store.after["statistics"] = asyncio.Event()
    asking = asyncio.create_task(DirectRetriever(store, model).retrieve(asked(), until=time.perf_counter() + 5))
    await store.reached.wait()
    model.backlog = 10.0
    store.after["statistics"].set()
    with pytest.raises(Overloaded):
        await asking
    assert model.queries == []


async def test_time_that_ran_out_while_embedding_starts_no_search(store: WatchedStore) -> None:
    """The store is not asked for what nobody waits for."""
    model = HashingEmbedder()
    model.gate.clear()
    until = time.perf_counter() + 0.3
    asking = asyncio.create_task(DirectRetriever(store, model).retrieve(asked(), until=until))
    async with asyncio.timeout(10):
        await model.asked.wait()
    await asyncio.sleep(until + 0.01 - time.perf_counter())
    model.gate.set()
    with pytest.raises(TimeoutError):
        await asking
    assert store.calls["candidates"] == 0


async def test_a_broken_model_says_so(store: WatchedStore) -> None:
    """It is no miss."""
    model = HashingEmbedder()
    model.failing = True
    with pytest.raises(EmbeddingError):
        await DirectRetriever(store, model).retrieve(asked())


async def test_without_a_model_a_user_without_memories_has_none(store: WatchedStore) -> None:
    """What needs no embedding works without one."""

    class Unknown(HashingEmbedder):
        @property
        def fingerprint(self) -> str:  # type: ignore[override]
            raise EmbeddingError("there is no such model")

    model = Unknown()
    recall = Recall(DirectRetriever(store, model), lambda: calibration_for(model.fingerprint, model.runtime))
    assert (await recall.recollect(BOB, "tea", RecallPolicy())).hits == ()


def test_laps_are_one_behind_the_other() -> None:
    """Their sum is the whole."""
    began = time.perf_counter()
    laps = Laps()
    time.sleep(0.01)
    laps.lap("a")
    laps.lap("b")
    whole = time.perf_counter() - began
    assert 0.01 <= laps.seconds["a"] <= whole
    assert 0 <= laps.seconds["b"] < whole - 0.009
