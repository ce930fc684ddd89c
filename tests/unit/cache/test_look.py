"""One look into level 2: what it asks for, how often, and how long."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from router_memory.cache import CachedEmbedder, Look, Meters, SharedCache
from router_memory.errors import BackendUnavailable
from tests.doubles import HashingEmbedder
from tests.doubles_cache import MemoryHotCache
from tests.unit.cache.parts import answer, asked, settled, shared_cache

if TYPE_CHECKING:
    from router_memory.types import Looked

QUERY = asked()


class Parts:
    """Level 2 of one process, and a server whose looks are watched.

    Attributes:
        gets: Whether a vector was asked for, and for how long, by look.
        vectors: For how long, by look for a vector alone.
        pause: Seconds that each of both takes.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, timeout: float = 5.0) -> None:
        self.server = MemoryHotCache()
        self.model = HashingEmbedder()
        meters = Meters(Counter())
        self.shared: SharedCache = shared_cache(self.server, self.model, meters, timeout=timeout)
        self.embedder = CachedEmbedder(self.model, shared=self.shared, entries=10, ttl=60.0, meters=meters)
        self.gets: list[tuple[bool, float]] = []
        self.vectors: list[float] = []
        self.pause = 0.0
        get, get_vector = self.server.get, self.server.get_vector

        async def watched(user: str, field: bytes, *, vector: bytes | None = None, within: float) -> Looked:
            self.gets.append((vector is not None, within))
            await asyncio.sleep(self.pause)
            return await get(user, field, vector=vector, within=within)

        async def watched_vector(key: bytes, *, within: float) -> bytes | None:
            self.vectors.append(within)
            await asyncio.sleep(self.pause)
            return await get_vector(key, within=within)

        monkeypatch.setattr(self.server, "get", watched)
        monkeypatch.setattr(self.server, "get_vector", watched_vector)

    def look(self) -> Look:
        return self.shared.look_for(QUERY, self.embedder)

    async def kept(self, *texts: str) -> None:
        """Once the server has an answer to the question and the vectors of texts, and nothing of it is at hand."""
        look = self.look()
        await look.read("one")
        look.keep(answer("green tea"))
        for text in texts:
            self.shared.keep_vector(text, await HashingEmbedder().embed_query(text))
        await settled(self.shared)
        self.gets.clear()
        self.server.calls.clear()


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    return Parts(monkeypatch)


@pytest.mark.parametrize("begun", [False, True])
async def test_it_asks_once_for_both(parts: Parts, begun: bool) -> None:
    """However often it is read, and whether it goes on meanwhile or not."""
    await parts.kept(QUERY.text)
    look = parts.look().begun() if begun else parts.look()
    found = await look.read("one")
    assert found is not None
    assert [record.content for record in found.records] == ["green tea"]
    assert await look.read("two") is None
    await look.vector(QUERY.text)
    assert [parts.embedder.has(QUERY.text), parts.server.calls, len(parts.gets)] == [True, ["get"], 1]


async def test_it_asks_for_nothing_before_it_is_read(parts: Parts) -> None:
    """Unless it is begun."""
    look = parts.look()
    await asyncio.sleep(0)
    assert parts.gets == []
    look.keep(answer("green tea"))  # it has no lease
    look.cancel()
    assert parts.shared._tasks == set()
    begun = parts.look().begun()
    await asyncio.sleep(0)
    assert len(parts.gets) == 1
    begun.cancel()


async def test_a_vector_that_is_at_hand_is_not_asked_for(parts: Parts) -> None:
    """It would be longer than most answers."""
    await parts.embedder.embed_query(QUERY.text)
    look = parts.look()
    assert await look.read("one") is None
    await look.vector(QUERY.text)
    assert [wanted for wanted, _ in parts.gets] == [False]
    assert parts.vectors == []


async def test_the_vector_of_another_text_takes_what_is_left_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name was taken out of the question, so it is another look; both have one deadline."""
    parts = Parts(monkeypatch, timeout=0.5)
    await parts.kept("tea")
    parts.pause = 0.1
    look = parts.look()
    await look.read("two")
    await asyncio.sleep(0.1)  # what is done between them counts as well
    await look.vector("tea")
    assert parts.gets == [(True, 0.5)]
    assert parts.embedder.has("tea")
    assert len(parts.vectors) == 1
    assert 0 < parts.vectors[0] <= 0.3


async def test_without_time_left_no_vector_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the look itself was answered at the last moment."""
    parts = Parts(monkeypatch, timeout=0.05)
    await parts.kept("tea")
    look = parts.look()
    await look.read("two")
    await asyncio.sleep(0.06)
    await look.vector("tea")
    assert [parts.vectors, parts.embedder.has("tea")] == [[], False]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_server_that_hangs_costs_its_time_once(monkeypatch: pytest.MonkeyPatch, begun: bool) -> None:
    """For the answer and the vector together."""
    parts = Parts(monkeypatch, timeout=0.5)
    parts.server.gate.clear()
    began = time.perf_counter()
    look = parts.look().begun() if begun else parts.look()
    assert await look.read("one") is None
    for text in (QUERY.text, "tea"):
        await look.vector(text)
    look.keep(answer("green tea"))
    assert 0.49 <= time.perf_counter() - began < 0.98
    assert [len(parts.gets), parts.vectors, parts.shared._tasks] == [1, [], set()]


async def test_where_the_server_did_not_say_nothing_is_kept(parts: Parts) -> None:
    """There is no lease to show."""
    parts.server.failure = BackendUnavailable("away", backend="memory", operation="get")
    look = parts.look()
    assert await look.read("one") is None
    await look.vector(QUERY.text)
    parts.server.failure = None
    look.keep(answer("green tea"))
    assert [parts.shared._tasks, parts.vectors] == [set(), []]


async def test_what_is_of_no_state_is_not_kept(parts: Parts) -> None:
    """An answer for a user without any data is cheap."""
    look = parts.look()
    await look.read("")
    look.keep(answer(epoch=""))
    assert parts.shared._tasks == set()


async def test_it_can_be_ended(parts: Parts) -> None:
    """Nothing goes on for nobody."""
    parts.server.gate.clear()
    look = parts.look().begun()
    await asyncio.sleep(0)
    look.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_look_that_is_waited_for_tells_the_odds_how_long(parts: Parts) -> None:
    """It asks no more than once, and is read as any other."""
    await parts.kept()
    parts.pause = 0.01
    odds, look = parts.shared.odds, parts.look().begun()
    before = odds.quick
    await look.wait()
    assert [before, odds.quick] == [True, False]
    assert [await look.read("one") is not None, len(parts.gets)] == [True, 1]
