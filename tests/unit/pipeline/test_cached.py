"""The cache before a search: what is shared, what is kept, and who waits for whom."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router_memory.errors import BackendTimeout, BackendUnavailable, EmbeddingError
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.retrieval import DirectRetriever, Overloaded
from router_memory.ranking import calibration_for
from router_memory.types import (
    CacheLevel,
    CutoffRule,
    MemoryType,
    RankingMode,
    RecallPolicy,
    Recollection,
    ReflectionAlgorithm,
    ReflectionPolicy,
    Scope,
)
from tests.doubles import HashingEmbedder
from tests.doubles_cache import MemoryHotCache
from tests.unit.cache.parts import ALICE, AT, BOB, Cached, WatchedStore, asked, cached, writes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router_memory.types import Retrieved

QUERY = asked()
SAID = ("green tea from the mountain", "black tea in May 2024", "a bike by the river", "milk and rice", "green lamps")


@asynccontextmanager
async def opened(path: Path, *said: str) -> AsyncIterator[WatchedStore]:
    store = WatchedStore(path / "memory.db")
    await store.open()
    try:
        if said:
            await store.add_elsewhere(ALICE, *said)
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[WatchedStore]:
    async with opened(tmp_path, *SAID) as made:
        yield made


@pytest.fixture
def hot(store: WatchedStore) -> Cached:
    return cached(store)


def contents(found: Retrieved) -> set[str]:
    return {record.content for record in found.retrieval.records}


async def settled(hot: Cached) -> None:
    while hot.shared is not None and hot.shared._tasks:
        await asyncio.wait(tuple(hot.shared._tasks))


async def nothing_goes_on() -> None:
    """Nor is anything kept of what did, after some turns of the event loop."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def recall_of(hot: Cached) -> Recall:
    return Recall(hot.retriever, lambda: calibration_for(hot.embedder.fingerprint, hot.embedder.runtime))


async def test_a_hit_costs_one_epoch_and_nothing_else(hot: Cached, store: WatchedStore) -> None:
    """No embedding, no statistics, no search."""
    first = await hot.retriever.retrieve(QUERY)
    store.calls.clear()
    hot.model.gate.clear()
    second = await hot.retriever.retrieve(QUERY)
    assert [first.level, second.level] == [CacheLevel.MISS, CacheLevel.LOCAL]
    assert second.retrieval is first.retrieval
    assert store.calls == {"epoch": 1}
    assert [hot.counted("miss"), hot.counted("level 1.hit")] == [1, 1]


async def test_a_bounded_hit_costs_nothing(store: WatchedStore) -> None:
    """While the epoch is remembered."""
    hot = cached(store, max_age=60)
    await hot.retriever.retrieve(QUERY)
    store.calls.clear()
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.LOCAL
    assert not store.calls


async def test_a_dead_entry_is_replaced(hot: Cached, store: WatchedStore) -> None:
    """After another process's write and after an own one."""
    await hot.retriever.retrieve(QUERY)
    await store.add_elsewhere(ALICE, "green tea once more")
    found = await hot.retriever.retrieve(QUERY)
    assert found.level is CacheLevel.MISS
    assert "green tea once more" in contents(found)
    await hot.store.add(ALICE, await writes(ALICE, "green tea again"))
    assert "green tea again" in contents(await hot.retriever.retrieve(QUERY))
    assert [hot.counted("level 1.dead"), len(hot.local)] == [2, 1]
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.LOCAL


async def test_what_was_forgotten_is_not_found(store: WatchedStore) -> None:
    """In either level, whatever the coherence, from the moment the call returned."""
    hot = cached(store, MemoryHotCache(), max_age=60)
    found = await hot.retriever.retrieve(QUERY)
    await settled(hot)
    secret = next(record for record in found.retrieval.records if record.content.startswith("green tea"))
    await hot.store.forget(ALICE, [secret.id])
    assert len(hot.local) == 0
    assert secret.content not in contents(await hot.retriever.retrieve(QUERY))


@pytest.mark.parametrize("here", [True, False], ids=["in this process", "in another"])
async def test_what_is_forgotten_before_it_is_written_is_not_written(
    store: WatchedStore, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    """An answer waits to be written until nobody asks; its text would lie on the server until its time to live."""
    monkeypatch.setattr("router_memory.cache.lull._BEFORE_SECONDS", 60.0)
    server = MemoryHotCache()
    hot, other = cached(store, server), cached(store, server)
    assert hot.shared is not None
    hot.shared.lull.came()
    found = await hot.retriever.retrieve(QUERY)
    await (hot if here else other).store.forget(ALICE, [record.id for record in found.retrieval.records])
    assert "put" not in server.calls
    hot.shared.lull.left()
    await settled(hot)
    assert [server.calls.count("put"), (await server.stats()).entries] == [1, 0]
    assert hot.counted("fill.refused") == 1


async def test_decisions_share_what_does_not_depend_on_them(hot: Cached, store: WatchedStore) -> None:
    """Limits up to 25, thresholds, cut-offs and every hybrid mode."""
    recall = recall_of(hot)
    for mode in (RankingMode.RERANK, RankingMode.WEIGHTED, RankingMode.RRF):
        for limit, threshold, cutoff in ((1, 0.0, CutoffRule.FIXED), (25, 0.9, CutoffRule.ELBOW)):
            await recall.recollect(ALICE, QUERY.text, RecallPolicy(limit, threshold, mode, cutoff))
    assert [store.calls["candidates"], len(hot.local), len(hot.model.queries)] == [1, 1, 1]
    assert hot.counted("level 1.hit") == 5


@pytest.mark.parametrize(
    "other",
    [
        RecallPolicy(5, 0.7, RankingMode.DENSE),
        RecallPolicy(26, 0.7, RankingMode.RERANK),
    ],
    ids=["dense", "limit"],
)
async def test_decisions_with_other_candidates_share_only_the_vector(
    hot: Cached, store: WatchedStore, other: RecallPolicy
) -> None:
    """Dense beside hybrid, and more neighbours than usual."""
    recall = recall_of(hot)
    await recall.recollect(ALICE, QUERY.text, RecallPolicy(mode=RankingMode.RERANK))
    await recall.recollect(ALICE, QUERY.text, other)
    assert [store.calls["candidates"], len(hot.local), len(hot.model.queries)] == [2, 2, 1]


async def test_nobody_gets_anothers_answer(hot: Cached) -> None:
    """Nor one of another project."""
    await hot.retriever.retrieve(QUERY)
    for scope in (BOB, Scope("alice", "garden")):
        found = await hot.retriever.retrieve(asked(scope=scope))
        assert [found.level, contents(found)] == [CacheLevel.MISS, set()]


async def test_empty_answers_are_kept(hot: Cached, store: WatchedStore) -> None:
    """Of a user without memories, until there is one."""
    for level in (CacheLevel.MISS, CacheLevel.LOCAL):
        found = await hot.retriever.retrieve(asked(scope=BOB))
        assert [found.level, found.retrieval.epoch, contents(found)] == [level, "", set()]
    await store.add_elsewhere(BOB, "green tea for Bob")
    assert contents(await hot.retriever.retrieve(asked(scope=BOB))) == {"green tea for Bob"}


@pytest.mark.parametrize("how", ["partial", "incoherent"])
async def test_what_is_not_whole_is_not_kept(store: WatchedStore, how: str) -> None:
    """In neither level."""
    server = MemoryHotCache()
    hot = cached(store, server)
    store.partial, store.lagging = how == "partial", "another" if how == "incoherent" else ""
    for _ in range(2):
        found = await hot.retriever.retrieve(QUERY)
        assert [found.level, found.retrieval.partial] == [CacheLevel.MISS, how == "partial"]
    await settled(hot)
    assert [len(hot.local), (await server.stats()).entries] == [0, 0]


async def test_what_was_read_before_an_own_write_ended_is_not_kept(store: WatchedStore) -> None:
    """It may hold what that write took away."""
    server = MemoryHotCache()
    hot = cached(store, server)
    store.before["candidates"] = asyncio.Event()
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    await store.reached.wait()
    await hot.store.forget(ALICE, ["nothing of that id"])
    store.before.pop("candidates").set()
    await asking
    await settled(hot)
    assert [len(hot.local), (await server.stats()).entries] == [0, 0]


# -- level 2


async def test_another_process_finds_it_in_level_2(store: WatchedStore) -> None:
    """Without the model and without a search; then it is in level 1 too."""
    server = MemoryHotCache()
    first, second = cached(store, server), cached(store, server)
    expected = await first.retriever.retrieve(QUERY)
    await settled(first)
    store.calls.clear()
    found = await second.retriever.retrieve(QUERY)
    assert [found.level, second.model.queries, store.calls["candidates"]] == [CacheLevel.SHARED, [], 0]
    assert list(found.retrieval.records) == list(expected.retrieval.records)
    assert (await second.retriever.retrieve(QUERY)).level is CacheLevel.LOCAL
    await store.add_elsewhere(ALICE, "green tea elsewhere")
    third = cached(store, server)
    fresh = await third.retriever.retrieve(QUERY)
    assert "green tea elsewhere" in contents(fresh)
    assert [fresh.level, third.counted("level 2.dead"), third.model.queries] == [CacheLevel.MISS, 1, []]


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("failure", [None, "away", "hangs"])
async def test_level_2_fails_no_request(store: WatchedStore, inline: bool, failure: str | None) -> None:
    """It costs a part of its time at most."""
    server = MemoryHotCache()
    store.inline = inline
    hot = cached(store, server, timeout=0.05)
    if failure == "away":
        server.failure = BackendUnavailable("away", backend="memory", operation="get")
    elif failure == "hangs":
        server.gate.clear()
    began = time.perf_counter()
    found = await hot.retriever.retrieve(QUERY)
    assert time.perf_counter() - began < 2
    assert found.level is CacheLevel.MISS
    assert SAID[0] in contents(found)
    server.gate.set()
    await settled(hot)


@pytest.mark.parametrize("text", ["green tea", "what  tea"], ids=["whole", "another text is embedded"])
@pytest.mark.parametrize("inline", [True, False])
async def test_a_slow_cache_costs_its_time_once(
    store: WatchedStore, monkeypatch: pytest.MonkeyPatch, inline: bool, text: str
) -> None:
    """`cache_timeout_ms` is the longest a request waits for it, however often it looks."""
    server = MemoryHotCache()
    store.inline = inline
    waits: list[float] = []

    async def slow(name: str, within: float) -> None:
        if name.startswith("get"):
            waits.append(min(0.09, within))
            await asyncio.sleep(waits[-1])

    monkeypatch.setattr(server, "_called", slow)
    hot = cached(store, server, timeout=0.1)
    began = time.perf_counter()
    await hot.retriever.retrieve(asked(text))
    assert time.perf_counter() - began < 1
    assert waits[0] == 0.09
    assert sum(waits) <= 0.1
    await settled(hot)


@pytest.mark.parametrize("inline", [True, False])
async def test_a_miss_costs_one_look(store: WatchedStore, inline: bool) -> None:
    """It brings the vector as well; the next process needs no model for another kind of search."""
    server = MemoryHotCache()
    store.inline = inline
    first, second = cached(store, server), cached(store, server)
    await first.retriever.retrieve(QUERY)
    await settled(first)
    assert sorted(server.calls) == ["get", "put", "put_vector"]
    server.calls.clear()
    found = await second.retriever.retrieve(asked(dense_limit=51))
    assert [found.level, second.model.queries, second.counted("vector.hit")] == [CacheLevel.MISS, [], 1]
    await settled(second)
    assert server.calls == ["get", "put"]


async def test_a_look_for_nobody_is_ended(store: WatchedStore) -> None:
    """Whether the store failed or the request was given up."""
    server = MemoryHotCache()
    server.gate.clear()
    store.inline = False
    hot = cached(store, server)
    store.failure = BackendUnavailable("away", backend="embedded", operation="statistics")
    with pytest.raises(BackendUnavailable):
        await hot.retriever.retrieve(QUERY)
    await nothing_goes_on()
    server.calls.clear()
    store.failure = None
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    for _ in range(50):
        if not server.calls:
            await asyncio.sleep(0)
    assert server.calls == ["get"]
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await nothing_goes_on()


async def test_without_level_1_level_2_does_all(store: WatchedStore) -> None:
    """`local_mb: 0`: an answer and a vector that another process, or this one, has written."""
    server = MemoryHotCache()
    hot = cached(store, server, most_bytes=0, entries=0)
    levels = []
    for query in (QUERY, QUERY, asked(dense_limit=51)):
        levels.append((await hot.retriever.retrieve(query)).level)
        await settled(hot)
    assert levels == [CacheLevel.MISS, CacheLevel.SHARED, CacheLevel.MISS]
    assert [len(hot.model.queries), hot.counted("vector.hit")] == [1, 1]


async def test_a_bounded_hit_of_level_2_leaves_the_store_alone(store: WatchedStore) -> None:
    """The epoch that came with the first one is remembered."""
    store.inline = False
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    hot = cached(store, server, max_age=60.0, most_bytes=0)
    await hot.retriever.retrieve(QUERY)
    store.calls.clear()
    found = [(await hot.retriever.retrieve(QUERY)).level for _ in range(3)]
    assert [found, sum(store.calls.values())] == [[CacheLevel.SHARED] * 3, 0]


@pytest.mark.parametrize("max_age", [0.0, 60.0])
async def test_equal_questions_at_once_look_once(store: WatchedStore, max_age: float) -> None:
    """Into level 2, whether the epoch is remembered or not."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    hot = cached(store, server, max_age=max_age)
    await hot.epochs.current(ALICE)
    server.calls.clear()
    server.gate.clear()
    asking = [asyncio.create_task(hot.retriever.retrieve(QUERY)) for _ in range(50)]
    await asyncio.sleep(0)
    server.gate.set()
    found = await asyncio.gather(*asking)
    assert server.calls.count("get") == 1
    assert sorted(one.level for one in found) == [CacheLevel.JOINED] * 49 + [CacheLevel.SHARED]


async def test_without_a_model_a_user_without_memories_needs_none(store: WatchedStore) -> None:
    """Level 2 makes no difference to that."""

    async def missing() -> None:
        raise EmbeddingError("there is no model")

    hot = cached(store, MemoryHotCache())
    hot.model.identify = missing  # type: ignore[method-assign]
    found = await hot.retriever.retrieve(asked(scope=Scope("nobody")))
    assert [found.level, len(found.retrieval.records)] == [CacheLevel.MISS, 0]


# -- what a look prepares for


def known(hot: Cached, share: float, *, slow: bool = False) -> Cached:
    """The same after looks of which this share were hits, and which took long or not."""
    assert hot.shared is not None
    hot.shared.odds.share = share
    hot.shared.odds.waited(float(slow))
    return hot


@pytest.mark.parametrize("inline", [True, False])
async def test_where_hits_are_usual_nothing_but_the_epoch_is_asked_of_the_store(
    store: WatchedStore, monkeypatch: pytest.MonkeyPatch, inline: bool
) -> None:
    """And no vector of the cache."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    vectors: list[bytes | None] = []
    get = server.get

    async def watched(user: str, field: bytes, *, vector: bytes | None = None, within: float) -> Any:
        vectors.append(vector)
        return await get(user, field, vector=vector, within=within)

    monkeypatch.setattr(server, "get", watched)
    store.inline = inline
    store.calls.clear()
    hot = known(cached(store, server), 1.0)
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.SHARED
    assert [store.calls, vectors] == [{"epoch": 1}, [None]]


async def test_where_hits_are_usual_a_miss_fetches_the_vector_by_itself(store: WatchedStore) -> None:
    """It is one round trip more, and no embedding."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    await store.add_elsewhere(ALICE, "green tea elsewhere")
    server.calls.clear()
    hot = known(cached(store, server), 1.0)
    found = await hot.retriever.retrieve(QUERY)
    assert "green tea elsewhere" in contents(found)
    assert [found.level, hot.model.queries, server.calls] == [CacheLevel.MISS, [], ["get", "get_vector"]]
    await settled(hot)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("inline", [True, False])
async def test_a_write_before_the_look_is_seen_whatever_the_odds(
    store: WatchedStore, inline: bool, share: float
) -> None:
    """The epoch is read after the request came."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    await store.add_elsewhere(ALICE, "green tea elsewhere")
    store.inline = inline
    hot = known(cached(store, server), share)
    assert "green tea elsewhere" in contents(await hot.retriever.retrieve(QUERY))
    assert hot.counted("level 2.dead") == 1
    await settled(hot)


async def test_where_hits_are_rare_the_model_does_not_wait_for_a_slow_cache(store: WatchedStore) -> None:
    """It embeds while level 2 is asked, once, for the one who asks."""
    server = MemoryHotCache()
    server.gate.clear()
    hot = known(cached(store, server), 0.0, slow=True)
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    async with asyncio.timeout(1):  # a look takes five seconds at most
        await hot.model.asked.wait()
    assert server.calls == ["get"]
    server.gate.set()
    assert (await asking).level is CacheLevel.MISS
    assert [len(hot.model.queries), hot.counted("vector.miss"), hot.counted("vector.joined")] == [1, 1, 0]
    await settled(hot)
    await nothing_goes_on()


async def test_where_hits_are_rare_a_quick_answer_is_waited_for(store: WatchedStore) -> None:
    """A hit then costs no embedding, and a miss none beside a look."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    hot = known(cached(store, server), 0.0)
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.SHARED
    assert hot.model.queries == []
    await settled(hot)


async def test_where_hits_are_rare_one_slow_look_is_waited_for(store: WatchedStore) -> None:
    """The next question is embedded beside its look."""
    server = MemoryHotCache()
    hot = known(cached(store, server), 0.0)
    server.gate.clear()
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    await asyncio.sleep(0.01)
    assert [server.calls, hot.model.queries] == [["get"], []]
    server.gate.set()
    await asking
    server.gate.clear()
    hot.model.asked.clear()
    asking = asyncio.create_task(hot.retriever.retrieve(replace(QUERY, text="black tea")))
    async with asyncio.timeout(1):  # a look takes five seconds at most
        await hot.model.asked.wait()
    server.gate.set()
    assert (await asking).level is CacheLevel.MISS
    await settled(hot)


async def test_where_hits_are_rare_a_vector_is_not_worth_a_round_trip(store: WatchedStore) -> None:
    """One in sixteen questions asks all the same: who finds a vector, or an answer that is dead, asks for more."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    await store.add_elsewhere(ALICE, "green tea elsewhere")
    hot = known(cached(store, server), 0.0)
    assert hot.shared is not None
    hot.shared.odds._looks = 1
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.MISS
    assert [len(hot.model.queries), hot.counted("vector.hit"), hot.shared.odds.rare] == [1, 0, False]
    await settled(hot)


async def test_where_hits_are_rare_a_hit_ends_the_embedding(store: WatchedStore) -> None:
    """It is not waited for, and such a guess is not made again soon."""
    first = cached(store, server := MemoryHotCache())
    await first.retriever.retrieve(QUERY)
    await settled(first)
    hot = known(cached(store, server), 0.0, slow=True)
    hot.model.gate.clear()
    server.gate.clear()
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    async with asyncio.timeout(1):  # a look takes five seconds at most
        await hot.model.asked.wait()
    server.gate.set()
    assert (await asking).level is CacheLevel.SHARED
    await nothing_goes_on()
    assert hot.shared is not None
    assert not hot.shared.odds.rare


async def test_a_look_that_is_not_waited_for_to_the_end_was_slow(store: WatchedStore) -> None:
    """It was the request that had no more time, perhaps because of it."""
    server = MemoryHotCache()
    server.gate.clear()
    hot = known(cached(store, server), 0.0)
    assert hot.shared is not None
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    await asyncio.sleep(0.01)
    assert hot.shared.odds.quick
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert not hot.shared.odds.quick


@pytest.mark.parametrize(("share", "slow"), [(0.0, False), (0.0, True), (0.5, False), (1.0, False)])
async def test_a_request_that_is_given_up_leaves_nothing_behind(store: WatchedStore, share: float, slow: bool) -> None:
    """Neither a look nor an embedding, and no request that fills would wait for."""
    server = MemoryHotCache()
    server.gate.clear()
    store.inline = False
    hot = known(cached(store, server), share, slow=slow)
    hot.model.gate.clear()
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    for _ in range(50):
        await asyncio.sleep(0)
    assert server.calls == ["get"]
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await nothing_goes_on()
    assert hot.shared is not None
    assert hot.shared.lull._requests == 0


async def test_an_epoch_that_is_not_needed_is_not_waited_for(store: WatchedStore) -> None:
    """Level 2 has nothing, and what the store is asked then comes with the epoch."""
    store.inline = False
    store.before["epoch"] = asyncio.Event()
    hot = known(cached(store, MemoryHotCache()), 1.0)
    found = await asyncio.wait_for(hot.retriever.retrieve(QUERY), 5)
    assert [found.level, store.calls["epoch"]] == [CacheLevel.MISS, 1]
    assert SAID[0] in contents(found)
    await settled(hot)
    await nothing_goes_on()


async def test_who_waits_for_a_look_that_was_given_up_looks_anew(store: WatchedStore) -> None:
    """The others are not cancelled with the one who looked."""
    server = MemoryHotCache()
    server.gate.clear()
    hot = cached(store, server)
    leader, follower = (asyncio.create_task(hot.retriever.retrieve(QUERY)) for _ in range(2))
    for _ in range(10):
        await asyncio.sleep(0)
    assert server.calls == ["get"]
    leader.cancel()
    await asyncio.wait({leader})
    server.gate.set()
    assert SAID[0] in contents(await follower)
    assert [leader.cancelled(), server.calls.count("get")] == [True, 2]
    await settled(hot)


async def test_values_are_written_when_nobody_asks(store: WatchedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or after a while at the latest."""
    monkeypatch.setattr("router_memory.cache.lull._BEFORE_SECONDS", 60.0)
    server = MemoryHotCache()
    hot = cached(store, server)
    assert hot.shared is not None
    hot.shared.lull.came()
    await hot.retriever.retrieve(QUERY)
    await asyncio.wait(tuple(hot.shared._tasks), timeout=0.02)
    assert [server.calls, len(hot.shared._tasks)] == [["get"], 2]
    hot.shared.lull.left()
    await settled(hot)
    assert sorted(server.calls) == ["get", "put", "put_vector"]
    monkeypatch.setattr("router_memory.cache.lull._BEFORE_SECONDS", 0.02)
    hot.shared.lull.came()
    await hot.retriever.retrieve(asked("rice"))
    await settled(hot)
    assert server.calls.count("put") == 2


# -- single flight


async def test_equal_questions_at_once_are_answered_once(hot: Cached, store: WatchedStore) -> None:
    """Fifty of them; others go beside them."""
    hot.model.gate.clear()
    asking = [asyncio.create_task(hot.retriever.retrieve(QUERY)) for _ in range(50)]
    await hot.model.asked.wait()
    await asyncio.sleep(0)
    hot.model.gate.set()
    found = await asyncio.gather(*asking)
    assert [len(hot.model.queries), store.calls["candidates"]] == [1, 1]
    assert sorted(one.level for one in found) == [CacheLevel.JOINED] * 49 + [CacheLevel.MISS]
    assert hot.counted("joined") == 49
    await nothing_goes_on()


async def test_one_who_came_after_a_write_sees_it(hot: Cached, store: WatchedStore) -> None:
    """Although the question under way began before."""
    store.after["candidates"] = asyncio.Event()
    before = asyncio.create_task(hot.retriever.retrieve(QUERY))
    await store.reached.wait()
    await store.add_elsewhere(ALICE, "green tea at last")
    after = asyncio.create_task(hot.retriever.retrieve(QUERY))
    await asyncio.sleep(0)
    store.after.pop("candidates").set()
    assert "green tea at last" not in contents(await before)
    assert "green tea at last" in contents(await after)


async def test_a_leader_who_leaves_stops_nobody(hot: Cached, store: WatchedStore) -> None:
    """The work goes on for the others."""
    hot.model.gate.clear()
    leader, follower = (asyncio.create_task(hot.retriever.retrieve(QUERY)) for _ in range(2))
    await hot.model.asked.wait()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    hot.model.gate.set()
    assert SAID[0] in contents(await follower)
    assert [len(hot.model.queries), store.calls["candidates"]] == [1, 1]


async def test_work_for_nobody_is_given_up(hot: Cached, store: WatchedStore) -> None:
    """And the next one begins anew."""
    hot.model.gate.clear()
    asking = [asyncio.create_task(hot.retriever.retrieve(QUERY)) for _ in range(3)]
    await hot.model.asked.wait()
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    await nothing_goes_on()
    hot.model.gate.set()
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.MISS
    assert [len(hot.model.queries), store.calls["candidates"]] == [2, 1]


async def test_a_leader_without_time_hands_over(hot: Cached, store: WatchedStore) -> None:
    """Whether the model is busy or the time is up."""
    hot.model.backlog = 1.0
    store.after["statistics"] = asyncio.Event()
    short = asyncio.create_task(hot.retriever.retrieve(QUERY, until=time.perf_counter() + 0.9))
    long = asyncio.create_task(hot.retriever.retrieve(QUERY, until=time.perf_counter() + 60))
    await store.reached.wait()
    store.after.pop("statistics").set()
    with pytest.raises(Overloaded):
        await short
    assert SAID[0] in contents(await long)

    hot.model.backlog = 0.0
    hot.model.gate.clear()
    hot.model.asked.clear()
    query = asked("rice")
    until = time.perf_counter() + 0.3
    short = asyncio.create_task(hot.retriever.retrieve(query, until=until))
    long = asyncio.create_task(hot.retriever.retrieve(query, until=time.perf_counter() + 60))
    await hot.model.asked.wait()
    await asyncio.sleep(until + 0.01 - time.perf_counter())
    hot.model.gate.set()
    with pytest.raises(TimeoutError):
        await short
    assert "milk and rice" in contents(await long)


@pytest.mark.parametrize("failing", ["store", "model"])
async def test_an_error_reaches_all_and_is_not_kept(hot: Cached, store: WatchedStore, failing: str) -> None:
    """The next one asks again."""
    if failing == "store":
        store.failure = BackendUnavailable("away", backend="embedded", operation="statistics")
    else:
        hot.model.failing = True
    raised = await asyncio.gather(*(hot.retriever.retrieve(QUERY) for _ in range(5)), return_exceptions=True)
    assert {type(error) for error in raised} == {BackendUnavailable if failing == "store" else EmbeddingError}
    await nothing_goes_on()
    store.failure, hot.model.failing = None, False
    assert (await hot.retriever.retrieve(QUERY)).level is CacheLevel.MISS


async def test_no_time_at_all_is_too_late(hot: Cached) -> None:
    """Nothing is begun."""
    with pytest.raises(TimeoutError):
        await hot.retriever.retrieve(QUERY, until=time.perf_counter() - 1)
    await nothing_goes_on()
    assert [hot.inner.calls, hot.model.queries] == [{}, []]


@pytest.mark.parametrize("how", ["overloaded", "another epoch"])
async def test_a_flight_that_has_just_ended_is_not_joined(hot: Cached, store: WatchedStore, how: str) -> None:
    """One may come in the very turn of the event loop in which it ended, and for whom it is no answer."""
    event = asyncio.Event()
    store.after["statistics" if how == "overloaded" else "candidates"] = event
    hot.model.backlog = 0.5 if how == "overloaded" else 0.0

    async def next_one() -> Retrieved:
        await event.wait()
        return await hot.retriever.retrieve(QUERY, until=time.perf_counter() + 1)

    first = asyncio.create_task(hot.retriever.retrieve(QUERY, until=time.perf_counter() + 0.4))
    await store.reached.wait()
    second = asyncio.create_task(next_one())
    await asyncio.sleep(0)
    if how == "another epoch":
        await store.add_elsewhere(ALICE, "green tea, later")
    event.set()
    await asyncio.wait({first, second})
    assert isinstance(first.exception(), Overloaded) == (how == "overloaded")
    assert ("green tea, later" in contents(second.result())) == (how == "another epoch")


async def test_a_store_that_gave_up_for_the_leader_may_be_asked_by_others(
    hot: Cached, store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`within` is the leader's; whoever has more time asks anew."""
    whole = WatchedStore.candidates

    async def timed(self: WatchedStore, query: Any, *, within: float | None = None) -> Any:
        if within is not None and within < 1:
            await asyncio.sleep(within)
            raise BackendTimeout("late", backend="embedded", operation="candidates")
        return await whole(self, query, within=within)

    monkeypatch.setattr(WatchedStore, "candidates", timed)
    short = hot.retriever.retrieve(QUERY, until=time.perf_counter() + 0.3)
    long = hot.retriever.retrieve(QUERY, until=time.perf_counter() + 60)
    found = await asyncio.gather(short, long, return_exceptions=True)
    assert isinstance(found[0], (BackendTimeout, TimeoutError))
    assert not isinstance(found[1], BaseException)


async def test_many_who_ask_during_foreign_writes_do_not_queue(hot: Cached, store: WatchedStore) -> None:
    """A flight that began after a request came is new enough for it, whatever is written later."""
    number = 0
    whole = store.candidates

    async def overtaken(*args: Any, **options: Any) -> Any:
        nonlocal number
        number += 1
        found = await whole(*args, **options)
        await store.add_elsewhere(ALICE, f"note {number}")
        return found

    store.candidates = overtaken  # type: ignore[method-assign]
    await asyncio.gather(*(hot.retriever.retrieve(QUERY) for _ in range(10)))
    assert number <= 3


async def test_a_question_under_way_at_a_reopening_is_not_counted_as_ended_there(store: WatchedStore) -> None:
    """Else nothing would ever count as idle again, and each fill would wait for its longest."""
    hot = cached(store, MemoryHotCache())
    assert hot.shared is not None
    await hot.shared.open()
    store.before["candidates"] = go_on = asyncio.Event()
    asking = asyncio.create_task(hot.retriever.retrieve(QUERY))
    await store.reached.wait()
    assert hot.shared.lull._requests == 1
    await hot.shared.close()
    await hot.shared.open()
    go_on.set()
    await asking
    await asyncio.sleep(0)
    assert hot.shared.lull._requests == 0
    await hot.shared.close()


# -- recall over the cache


async def test_rankings_are_kept_per_mode(hot: Cached) -> None:
    """Beside the answer that they are of."""
    recall = recall_of(hot)
    for mode in (RankingMode.RERANK, RankingMode.RRF, RankingMode.RERANK):
        await recall.recollect(ALICE, QUERY.text, RecallPolicy(mode=mode))
    kept = hot.local.get(QUERY)
    assert kept is not None
    assert {mode for mode in RankingMode if mode in kept.memo} == {RankingMode.RERANK, RankingMode.RRF}


async def test_what_a_request_shows_and_allows_is_applied_anew(hot: Cached) -> None:
    """Nothing of it is kept with an answer."""
    recall, policy = recall_of(hot), RecallPolicy(5, 0.0, RankingMode.RERANK)
    first = await recall.recollect(ALICE, QUERY.text, policy)
    assert SAID[0] in {hit.record.content for hit in first.hits}
    seen = await recall.recollect(
        ALICE, QUERY.text, policy, visible=[{"role": "user", "content": SAID[0]}], reflection=ReflectionPolicy()
    )
    assert SAID[0] not in {hit.record.content for hit in seen.hits}
    one = await recall.recollect(ALICE, QUERY.text, RecallPolicy(1, 0.0, RankingMode.RERANK))
    tight = await recall.recollect(ALICE, QUERY.text, policy, reflection=ReflectionPolicy(max_inject_tokens=20))
    last = await recall.recollect(ALICE, QUERY.text, policy)
    assert [len(one.hits), len(tight.hits) < len(first.hits), last.hits] == [1, True, first.hits]
    assert [first.cache, last.cache] == [CacheLevel.MISS, CacheLevel.LOCAL]


policies = st.builds(
    RecallPolicy,
    st.integers(1, 40),
    st.floats(0, 1),
    st.sampled_from(RankingMode),
    st.sampled_from(CutoffRule),
)
reflections = st.builds(
    ReflectionPolicy,
    algorithm=st.sampled_from(ReflectionAlgorithm),
    max_inject_tokens=st.integers(10, 300),
    dedup_threshold=st.floats(0.3, 1),
)
requests = st.tuples(
    st.sampled_from(["green tea", "When did I drink tea in May?", "river", "", "Green  tea"]),
    policies,
    reflections,
    st.sampled_from([frozenset(), frozenset({MemoryType.SEMANTIC}), frozenset({MemoryType.EPISODIC})]),
    st.sampled_from([(), ({"role": "user", "content": SAID[0]},)]),
)


@given(several=st.lists(requests, min_size=1, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_results_are_those_without_the_cache(several: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of any policies in any order, level by level."""

    async def compare() -> None:
        async with opened(tmp_path_factory.mktemp("recall"), *SAID) as store:
            server = MemoryHotCache()
            unfitted = calibration_for("hashing/64/test", "torch")
            plain = Recall(DirectRetriever(store, HashingEmbedder()), lambda: unfitted)
            first = cached(store, server)
            for text, policy, reflection, types, visible in [*several, *several]:
                found = [
                    await recall.recollect(
                        ALICE, text, policy, types=types, reflection=reflection, visible=visible, now=AT
                    )
                    for recall in (plain, recall_of(first))
                ]
                assert bare(found[1]) == bare(found[0])
            await settled(first)
            second = recall_of(cached(store, server))
            for text, policy, reflection, types, visible in several:
                mine = await second.recollect(
                    ALICE, text, policy, types=types, reflection=reflection, visible=visible, now=AT
                )
                theirs = await plain.recollect(
                    ALICE, text, policy, types=types, reflection=reflection, visible=visible, now=AT
                )
                assert bare(mine) == bare(theirs)
                assert mine.cache in {CacheLevel.SHARED, CacheLevel.LOCAL}

    asyncio.run(compare())


def bare(found: Recollection) -> Recollection:
    """Without how it came about."""
    return replace(found, seconds={}, cache=CacheLevel.OFF)
