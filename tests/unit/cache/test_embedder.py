"""The vectors of queries that are remembered."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from typing import Any

import numpy as np
import pytest
from cachetools import TTLCache

from router_memory.cache import CachedEmbedder, Meters, vector_key
from router_memory.cache import embedder as module
from router_memory.cache.codec import encode_vector
from router_memory.cache.keys import KEY_BYTES
from router_memory.cache.shared import SharedCache
from router_memory.errors import EmbeddingError
from router_memory.protocols import Embedder
from tests.doubles import HashingEmbedder
from tests.doubles_cache import MemoryHotCache
from tests.unit.cache.parts import settled, shared_cache


def wrapped(model: HashingEmbedder, shared: SharedCache | None = None, **options: Any) -> CachedEmbedder:
    usual: dict[str, Any] = {"entries": 10, "ttl": 60.0, "meters": Meters(Counter())}
    return CachedEmbedder(model, shared=shared, **(usual | options))


async def turns(count: int = 10) -> None:
    """Some turns of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_it_has_every_method_of_an_embedder() -> None:
    """With the same arguments."""
    for name, member in inspect.getmembers(Embedder, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(CachedEmbedder, name)) == inspect.signature(member), name


async def test_the_model_is_asked_once_for_a_text() -> None:
    """The vector is the model's, bit for bit."""
    model, counters = HashingEmbedder(), Counter[str]()
    embedder = wrapped(model, meters=Meters(counters))
    first, second = await embedder.embed_query("tea"), await embedder.embed_query("tea")
    assert np.array_equal(first, await HashingEmbedder().embed_query("tea"))
    assert np.array_equal(first, second)
    assert [model.queries, counters] == [["tea"], Counter({"cache.vector.miss": 1, "cache.vector.hit": 1})]
    await embedder.embed_query("Tea")
    assert model.queries == ["tea", "Tea"]


async def test_a_vector_may_be_changed_by_who_got_it() -> None:
    """First or later."""
    embedder = wrapped(HashingEmbedder())
    expected = await HashingEmbedder().embed_query("tea")
    for _ in range(3):
        vector = await embedder.embed_query("tea")
        assert np.array_equal(vector, expected)
        vector *= -2


async def test_a_vector_at_hand_is_waited_for_by_nobody() -> None:
    """Even while the model is busy."""
    model = HashingEmbedder()
    model.backlog = 3.0
    embedder = wrapped(model)
    await embedder.embed_query("tea")
    assert [embedder.backlog_seconds("tea"), embedder.backlog_seconds("milk"), embedder.backlog_seconds()] == [0, 3, 3]
    model.gate.clear()
    giving = embedder.embed_query("tea")
    with pytest.raises(StopIteration):  # it suspends nowhere
        giving.send(None)


async def test_of_texts_only_digests_are_kept() -> None:
    """A dump of the memory shows no question that is over."""
    embedder = wrapped(HashingEmbedder())
    await embedder.embed_query("my secret")
    assert [(type(key), len(key)) for key in embedder._vectors] == [(bytes, KEY_BYTES)]
    assert [embedder.has("my secret"), embedder.has("secret")] == [True, False]


async def test_a_text_is_embedded_once_at_a_time() -> None:
    """Whoever asks meanwhile gets the same, in an array of their own; other texts go beside it."""
    model, counters = HashingEmbedder(), Counter[str]()
    embedder = wrapped(model, meters=Meters(counters))
    model.gate.clear()
    asking = [asyncio.create_task(embedder.embed_query(text)) for text in ["tea"] * 5 + ["milk"]]
    await turns()
    model.gate.set()
    vectors = await asyncio.gather(*asking)
    expected = await HashingEmbedder().embed_query("tea")
    for vector in vectors[:5]:
        assert np.array_equal(vector, expected)
        vector *= -1
    assert [model.queries, counters] == [["tea", "milk"], {"cache.vector.miss": 2, "cache.vector.joined": 4}]
    assert np.array_equal(await embedder.embed_query("tea"), expected)


async def test_without_room_a_text_is_embedded_once_at_a_time_all_the_same() -> None:
    """And then anew."""
    model = HashingEmbedder()
    embedder = wrapped(model, entries=0)
    await asyncio.gather(*(embedder.embed_query("tea") for _ in range(5)))
    assert model.queries == ["tea"]
    await embedder.embed_query("tea")
    assert model.queries == ["tea"] * 2


async def test_who_leaves_takes_the_vector_from_nobody() -> None:
    """The work ends when all have left, and the next one begins it anew."""
    model = HashingEmbedder()
    embedder = wrapped(model)
    model.gate.clear()
    first, second = (asyncio.create_task(embedder.embed_query("tea")) for _ in range(2))
    await turns()
    first.cancel()
    await turns()
    assert [first.cancelled(), second.done()] == [True, False]
    second.cancel()
    third = asyncio.create_task(embedder.embed_query("tea"))
    await turns()
    assert [second.cancelled(), third.done(), model.queries] == [True, False, ["tea"] * 2]
    model.gate.set()
    assert np.array_equal(await third, await HashingEmbedder().embed_query("tea"))
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_reaches_all_who_wait() -> None:
    """And is not kept."""
    model = HashingEmbedder()
    model.failing = True
    embedder = wrapped(model)
    raised = await asyncio.gather(*(embedder.embed_query("tea") for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in raised] == [EmbeddingError] * 3
    model.failing = False
    await embedder.embed_query("tea")
    assert model.queries == ["tea"] * 2


async def test_what_failed_or_was_cancelled_is_not_remembered() -> None:
    """The next one asks again."""
    model = HashingEmbedder()
    embedder = wrapped(model)
    model.failing = True
    with pytest.raises(EmbeddingError):
        await embedder.embed_query("tea")
    model.failing = False
    model.gate.clear()
    asking = asyncio.create_task(embedder.embed_query("tea"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    model.gate.set()
    assert [len(embedder), embedder.backlog_seconds("tea")] == [0, 0.0]
    await embedder.embed_query("tea")
    assert model.queries == ["tea"] * 3


async def test_a_vector_comes_from_the_server_when_it_is_fetched_before() -> None:
    """Without the model; near enough to the model's own."""
    server = MemoryHotCache()
    first, second = HashingEmbedder(), HashingEmbedder()
    theirs, ours = (shared_cache(server, model, Meters(Counter())) for model in (first, second))
    expected = await wrapped(first, theirs).embed_query("tea and milk")
    await settled(theirs)
    embedder = wrapped(second, ours)
    await embedder.prefetch("tea and milk", within=1.0)
    await embedder.prefetch("nothing", within=1.0)
    assert [embedder.backlog_seconds("tea and milk"), len(embedder)] == [0.0, 1]
    vector = await embedder.embed_query("tea and milk")
    assert [second.queries, vector.dtype, vector.shape] == [[], np.float32, (64,)]
    assert float(vector @ expected) > 1 - 1e-4
    calls = len(server.calls)
    await embedder.prefetch("tea and milk", within=1.0)
    assert len(server.calls) == calls  # it is at hand


async def test_another_models_vectors_are_not_taken() -> None:
    """Nor those of another dimension."""
    server = MemoryHotCache()
    other = HashingEmbedder()
    other.fingerprint = "other/64"
    theirs = shared_cache(server, other, Meters(Counter()))
    await wrapped(other, theirs).embed_query("tea")
    await settled(theirs)
    model = HashingEmbedder()
    embedder = wrapped(model, shared_cache(server, model, Meters(Counter())))
    await embedder.prefetch("tea", within=1.0)
    assert len(embedder) == 0


async def test_a_vector_changed_by_its_caller_is_not_what_the_server_gets() -> None:
    """Everybody else would search with it."""
    server, model = MemoryHotCache(), HashingEmbedder()
    shared = shared_cache(server, model, Meters(Counter()))
    vector = await wrapped(model, shared).embed_query("tea")
    expected = vector.copy()
    vector *= -1
    await settled(shared)
    embedder = wrapped(model, shared)
    await embedder.prefetch("tea", within=1.0)
    assert float(await embedder.embed_query("tea") @ expected) > 0.99


async def test_without_level_1_the_servers_vectors_are_used() -> None:
    """`local_mb: 0`."""
    server, model = MemoryHotCache(), HashingEmbedder()
    shared = shared_cache(server, model, Meters(Counter()))
    embedder = wrapped(model, shared, entries=0)
    await embedder.embed_query("tea")
    await settled(shared)
    assert not embedder.has("tea")  # the model's own are not kept
    await embedder.prefetch("tea", within=1.0)
    await embedder.embed_query("tea")
    assert model.queries == ["tea"]


@pytest.mark.parametrize("options", [{"entries": 0}, {"ttl": 0.0}])
async def test_without_level_1_vectors_are_handed_over_for_a_moment(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the request that fetched them, among a few others."""
    now = [0.0]
    monkeypatch.setattr(module, "TTLCache", lambda size, ttl: TTLCache(size, ttl, timer=lambda: now[0]))
    model = HashingEmbedder()
    shared = shared_cache(MemoryHotCache(), model, Meters(Counter()))
    embedder = wrapped(model, shared, **options)
    raw = encode_vector(await model.embed_query("tea"), vector_key("tea", shared._fingerprint))
    embedder.offer("tea", raw)
    assert embedder.has("tea")
    now[0] += module._HAND_OVER_SECONDS
    assert not embedder.has("tea")
    for number in range(module._HANDED_OVER + 10):
        text = str(number)
        embedder.offer(text, encode_vector(await model.embed_query(text), vector_key(text, shared._fingerprint)))
    assert [len(embedder), embedder.has(text)] == [module._HANDED_OVER, True]


async def test_what_a_look_brought_is_at_hand() -> None:
    """If it is that text's vector; nothing, damage and another's change nothing."""
    model, counters = HashingEmbedder(), Counter[str]()
    shared = shared_cache(MemoryHotCache(), model, Meters(counters))
    embedder = wrapped(model, shared, meters=Meters(counters))
    vector = await HashingEmbedder().embed_query("tea")
    raw = encode_vector(vector, vector_key("tea", shared._fingerprint))
    for text, brought in (("tea", None), ("tea", raw[:-1]), ("milk", raw)):
        embedder.offer(text, brought)
    assert [len(embedder), counters["cache.level 2.unreadable"]] == [0, 2]
    embedder.offer("tea", raw)
    assert float(await embedder.embed_query("tea") @ vector) > 1 - 1e-4
    assert [model.queries, counters["cache.vector.hit"]] == [[], 1]
    alone = wrapped(model)
    alone.offer("tea", raw)
    await alone.prefetch("tea", within=1.0)
    assert not alone.has("tea")


@pytest.mark.parametrize("options", [{"entries": 0}, {"ttl": 0.0}])
async def test_it_keeps_nothing_where_it_may_not(options: dict[str, Any]) -> None:
    """No room, or no time."""
    model = HashingEmbedder()
    embedder = wrapped(model, **options)
    for _ in range(2):
        await embedder.embed_query("tea")
    assert [model.queries, len(embedder), embedder.nbytes, embedder.clear()] == [["tea", "tea"], 0, 0, 0]


async def test_it_keeps_as_many_as_it_may() -> None:
    """And says what they take."""
    model = HashingEmbedder()
    embedder = wrapped(model, entries=3)
    for number in range(5):
        await embedder.embed_query(f"tea {number}")
    assert [len(embedder), embedder.nbytes] == [3, 3 * (64 * 4 + KEY_BYTES)]
    assert [embedder.clear(), len(embedder)] == [3, 0]


async def test_vectors_end_with_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backlog is the model's again."""
    now = [0.0]
    monkeypatch.setattr(module, "TTLCache", lambda size, ttl: TTLCache(size, ttl, timer=lambda: now[0]))
    model = HashingEmbedder()
    embedder = wrapped(model, ttl=60.0)
    await embedder.embed_query("tea")
    now[0] = 61.0
    model.backlog = 1.0
    assert [embedder.backlog_seconds("tea"), len(embedder)] == [1.0, 0]


async def test_all_else_is_the_models() -> None:
    """Passages are never remembered."""
    model = HashingEmbedder()
    embedder = wrapped(model)
    await embedder.identify()
    await embedder.open()
    assert [embedder.dimension, embedder.fingerprint] == [model.dimension, model.fingerprint]
    for _ in range(2):
        await embedder.embed_passages(["a", "b"])
    assert model.passages == ["a", "b"] * 2
    await embedder.embed_query("tea")
    await embedder.close()
    assert len(embedder) == 0
