"""Many users of 100 memories each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.claims import Claim, at_least, at_most
from bench.scale.data import LIMIT, Corpus, query
from bench.scale.resident import of_users
from bench.scale.settings import DIMENSION, PER_USER, Settings
from bench.scale.storing import Batch, bare_rate, bytes_of, open_seconds, opened, store_all
from bench.valkey.timing import figures, in_turn, ratio
from router_memory.backends.embedded import EmbeddedStore
from router_memory.ranking import rarest
from router_memory.types import CandidateQuery

__all__ = ["measure"]

_TOP = 10
_RECALL, _RESIDENT, _OPEN = 0.99, 1.3, 1.5
_HOT_USERS = 50
_SMALL = 100
"""The file whose opening is compared has so many times fewer memories."""


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Stores, opens and searches."""
    corpus = Corpus(settings.seed)
    with TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        path, small = folder / "all" / "memories.db", folder / "small" / "memories.db"
        floor = bare_rate(folder, _batches(corpus, settings.floor_memories // PER_USER))
        async with opened(path) as store:
            rate = (
                settings.users * PER_USER / await store_all(store, _batches(corpus, settings.users), settings.writers)
            )
        async with opened(small) as store:
            await store_all(store, _batches(corpus, max(1, settings.users // _SMALL)), settings.writers)
        print(f"  stored {rate:.0f}/s, bare {floor:.0f}/s", flush=True)
        size = bytes_of(path.parent)
        opening = await open_seconds({"all": path, "small": small}, settings.opens)
        async with opened(path) as store:
            searches, recall = await _searches(store, corpus, settings)
        resident = await of_users(path, settings)
    own = float(settings.users * PER_USER * DIMENSION * 4)
    hot = resident["hot_vectors"] * DIMENSION * 4
    document: dict[str, Any] = {
        "users": settings.users,
        "memories": settings.users * PER_USER,
        "memories_per_second": {"store": round(rate), "bare_sqlite": round(floor)},
        "bytes": size | {"vectors_as_float32": own},
        "open_ms": {name: round(seconds * 1e3, 3) for name, seconds in opening.items()},
        **{name: figures(taken) for name, taken in searches.items()},
        "recall_at_10": recall,
        "resident": resident,
    }
    label = f"{settings.users * PER_USER:,} memories of {settings.users:,} users"
    return document, [
        at_least(f"{label}: recall@10", recall, _RECALL),
        Claim(f"{label}: search, hot, p50 ms", document["hot"]["p50_ms"]),
        Claim(f"{label}: search, hot, p95 ms", document["hot"]["p95_ms"]),
        Claim(f"{label}: search, cold, p50 ms", document["cold"]["p50_ms"]),
        Claim(f"{label}: search, cold, p95 ms", document["cold"]["p95_ms"]),
        Claim(f"{label}: search, hot / numpy scan of the user", ratio(searches["hot"], searches["numpy"])),
        Claim(f"{label}: bare SQLite / store, memories a second", round(floor / rate, 3)),
        Claim(f"{label}: bytes on disk / vectors as float32", round(size["database"] / own, 3)),
        at_most(f"{label}: open / with {_SMALL} times fewer", round(opening["all"] / opening["small"], 3), _OPEN),
        _resident_claim(label, round(resident["anonymous_bytes"] / hot, 3), full=bool(resident["full"])),
    ]


def _resident_claim(label: str, value: float, *, full: bool) -> Claim:
    """What is held beside vectors has a least size of its own, so the target is for a cache that is full."""
    title = f"{label}: resident / vectors held"
    return at_most(title, value, _RESIDENT) if full else Claim(title, value)


def _batches(corpus: Corpus, users: int) -> Iterator[Batch]:
    for user in range(users):
        yield corpus.scope(user), corpus.writes(user, 0, PER_USER)


async def _searches(store: EmbeddedStore, corpus: Corpus, settings: Settings) -> tuple[dict[str, Any], float]:
    """Searches of both channels: of users just searched, of users not held, and numpy over the former's vectors."""
    hot = range(min(_HOT_USERS, settings.users))
    cold = range(settings.users - 1, max(len(hot), settings.users - settings.cold_rounds) - 1, -1)
    matrices = {user: corpus.vectors(user, 0, PER_USER) for user in hot}
    vectors = {user: corpus.asked(user, 1)[0] for user in hot}
    queries = {user: await _query(store, corpus, user) for user in (*hot, *cold)}

    async def held(number: int) -> None:
        await store.candidates(queries[number % len(hot)])

    async def numpy_scan(number: int) -> None:
        user = number % len(hot)
        _nearest(matrices[user], vectors[user], LIMIT)

    async def fresh(number: int) -> None:
        await store.candidates(queries[cold[number]])

    taken = await in_turn({"hot": held, "numpy": numpy_scan}, settings.hot_rounds, warmup=len(hot))
    taken |= await in_turn({"cold": fresh}, len(cold))
    found = [await _recall(store, corpus, user, queries[user]) for user in (*hot, *cold)]
    return taken, round(float(np.mean(found)), 5)


async def _query(store: EmbeddedStore, corpus: Corpus, user: int) -> CandidateQuery:
    scope, words = corpus.scope(user), corpus.question(user, 0, PER_USER)
    stems = rarest(words, await store.statistics(scope, words))
    return query(scope, corpus.asked(user, 1)[0], stems)


def _nearest(matrix: NDArray[np.float32], vector: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    return np.argpartition(-(matrix @ vector), count - 1)[:count]


async def _recall(store: EmbeddedStore, corpus: Corpus, user: int, asked: CandidateQuery) -> float:
    truth = _nearest(corpus.vectors(user, 0, PER_USER), corpus.asked(user, 1)[0], _TOP).tolist()
    candidates = (await store.candidates(asked)).candidates
    best = sorted(candidates, key=lambda candidate: -candidate.cosine)[:_TOP]
    wanted = {corpus.identity(user, index) for index in truth}
    return len(wanted & {candidate.record.id for candidate in best}) / _TOP
