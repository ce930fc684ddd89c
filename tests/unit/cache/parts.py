"""Questions, answers and a store that does as it is told, for tests of the cache."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from router_memory.backends.embedded import EmbeddedStore
from router_memory.cache import CachedEmbedder, CachedStore, Epochs, LocalCache, Meters, SharedCache
from router_memory.errors import (
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    IndexMismatch,
)
from router_memory.pipeline.cached import CachedRetriever
from router_memory.pipeline.retrieval import DirectRetriever
from router_memory.ranking import document, read, retrieval_of
from router_memory.types import (
    Candidate,
    CandidateSet,
    LexicalStatistics,
    MemoryRecord,
    MemoryWrite,
    Retrieval,
    Scope,
    SearchQuery,
    record_id,
)
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from router_memory.protocols import HotCache
    from router_memory.types import CandidateQuery, WriteStatus

ALICE, BOB = Scope("alice"), Scope("bob")
AT = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
KEY = bytes(range(32))
AWAY = [
    BackendUnavailable("away", backend="memory", operation="get"),
    BackendTimeout("late", backend="memory", operation="get"),
]
REFUSALS = [
    BackendRejected("no", backend="memory", operation="get", hint="allow it"),
    BackendError("odd", backend="memory", operation="get"),
    IndexMismatch("other", backend="memory", operation="get", expected="a", found="b"),
]


def asked(text: str = "green tea", scope: Scope = ALICE, **fields: Any) -> SearchQuery:
    """A question; `fields` replace the usual ones."""
    usual: dict[str, Any] = {"lexical": True, "dense_limit": 50, "lexical_limit": 400}
    return SearchQuery(scope=scope, text=text, **(usual | fields))


def candidate(content: str, cosine: float = 0.5, scope: Scope = ALICE, **fields: Any) -> Candidate:
    """A candidate; `fields` are the record's."""
    usual: dict[str, Any] = {"id": content, "created_at": AT, "updated_at": AT, "position": 0}
    record = MemoryRecord(scope=scope, content=content, **(usual | fields))
    return Candidate(record=record, document=document(content, record.speaker), cosine=cosine)


def answer(
    *contents: str, epoch: str = "one", question: str = "green tea", scope: Scope = ALICE, partial: bool = False
) -> Retrieval:
    """What a user's only memories answer to a question."""
    made = [candidate(content, 1 / (2 + place), scope) for place, content in enumerate(contents)]
    return answer_of(made, epoch=epoch, question=question, partial=partial)


def answer_of(
    candidates: Sequence[Candidate], *, epoch: str = "one", question: str = "green tea", partial: bool = False
) -> Retrieval:
    """The same of candidates."""
    frequency = Counter(stem for one in candidates for stem in one.document.stems)
    length = sum(one.document.length for one in candidates)
    statistics = LexicalStatistics(epoch, len(candidates), length, dict(frequency))
    found = CandidateSet(epoch, tuple(candidates), partial=partial)
    words = read(question)
    return retrieval_of(words, words.names(statistics), statistics, found)


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class WatchedStore(EmbeddedStore):
    """An embedded store that counts what it is asked, and stops where it is told to.

    Attributes:
        calls: How often what was asked.
        before, after: Events that a call waits for, by its name, before it reads and before it gives what it read.
        reached: Set once a call waits in `before` or `after`.
        failure: Raised by the reads while it is set.
        partial: Whether candidates are said to be partial.
        lagging: The epoch that candidates are said to be of; empty for their own.
        inline: What `epoch_is_inline` says.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, dimension=HashingEmbedder.dimension, fingerprint=HashingEmbedder.fingerprint)
        self.calls: Counter[str] = Counter()
        self.before: dict[str, asyncio.Event] = {}
        self.after: dict[str, asyncio.Event] = {}
        self.reached = asyncio.Event()
        self.failure: Exception | None = None
        self.partial = False
        self.lagging = ""
        self.inline = True

    @property
    def epoch_is_inline(self) -> bool:
        return self.inline

    async def epoch(self, scope: Scope) -> str:
        await self._at("epoch", self.before)
        epoch = await super().epoch(scope)
        await self._at("epoch", self.after)
        return epoch

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        await self._at("statistics", self.before)
        statistics = await super().statistics(scope, stems)
        await self._at("statistics", self.after)
        return statistics

    async def candidates(self, query: CandidateQuery, *, within: float | None = None) -> CandidateSet:
        await self._at("candidates", self.before)
        found = await super().candidates(query, within=within)
        await self._at("candidates", self.after)
        return CandidateSet(self.lagging or found.epoch, found.candidates, found.exact, found.partial or self.partial)

    async def add_elsewhere(self, scope: Scope, *contents: str) -> list[WriteStatus]:
        """A write of which the cache before this store learns nothing."""
        return await EmbeddedStore.add(self, scope, await writes(scope, *contents))

    async def _at(self, name: str, events: dict[str, asyncio.Event]) -> None:
        if events is self.before:
            self.calls[name] += 1
            if self.failure is not None:
                raise self.failure
        event = events.get(name)
        if event is not None:
            self.reached.set()
            await event.wait()


async def writes(scope: Scope, *contents: str) -> list[MemoryWrite]:
    """Memories to be stored."""
    vectors = await HashingEmbedder().embed_passages(contents)
    made = []
    for content, vector in zip(contents, vectors, strict=True):
        record = MemoryRecord(
            id=record_id(scope, content=content, type="semantic"),
            scope=scope,
            content=content,
            created_at=AT,
            updated_at=AT,
        )
        made.append(MemoryWrite(record, document(content), vector))
    return made


@dataclass(frozen=True, slots=True)
class Cached:
    """A store with the hot cache before it."""

    store: CachedStore
    inner: WatchedStore
    retriever: CachedRetriever
    embedder: CachedEmbedder
    model: HashingEmbedder
    epochs: Epochs
    local: LocalCache
    shared: SharedCache | None
    counters: Counter[str]

    def counted(self, event: str) -> int:
        """How often an event was counted."""
        return self.counters[f"cache.{event}"]


def cached(
    inner: WatchedStore,
    server: HotCache | None = None,
    *,
    max_age: float = 0.0,
    most_bytes: int = 10_000_000,
    entries: int = 100,
    timeout: float = 5.0,
    timer: Callable[[], float] | None = None,
) -> Cached:
    """The cache of one process before a store, put together as the wiring does."""
    counters: Counter[str] = Counter()
    meters, model = Meters(counters), HashingEmbedder()
    epochs = Epochs(inner, max_age=max_age)
    timed: dict[str, Any] = {} if timer is None else {"timer": timer}
    local = LocalCache(most_bytes=most_bytes, most_entries=100, ttl=60, meters=meters, **timed)
    shared = None if server is None else shared_cache(server, model, meters, timeout=timeout)
    embedder = CachedEmbedder(model, shared=shared, entries=entries, ttl=60, meters=meters)
    store = CachedStore(inner, epochs=epochs, local=local, shared=shared)
    retriever = CachedRetriever(
        DirectRetriever(store, embedder), embedder=embedder, epochs=epochs, local=local, shared=shared, meters=meters
    )
    return Cached(store, inner, retriever, embedder, model, epochs, local, shared, counters)


def shared_cache(
    server: HotCache, embedder: HashingEmbedder, meters: Meters, *, timeout: float = 5.0, ttl: float = 60.0
) -> SharedCache:
    """Level 2 over a server."""
    return SharedCache(server, embedder=embedder, timeout=timeout, ttl=ttl, vector_ttl=60.0, meters=meters)


async def settled(shared: SharedCache) -> None:
    """Once nothing is being written."""
    while shared._tasks:
        await asyncio.wait(tuple(shared._tasks))


async def filled(shared: SharedCache, epoch: str = "one") -> bytes:
    """Once an answer is kept; its key."""
    query = asked()
    key = shared.key(query)
    looked = await shared.look(query, key)
    assert looked is not None
    shared.keep(query, key, answer("green tea", "black tea", epoch=epoch), looked.lease)
    await settled(shared)
    return key
