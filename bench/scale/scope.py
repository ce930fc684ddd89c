"""One user who has all the memories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.claims import Claim, at_least, at_most
from bench.scale.bare import Bare
from bench.scale.data import LIMIT, Corpus, query
from bench.scale.resident import of_scope
from bench.scale.settings import Settings
from bench.scale.storing import Batch, bare_rate, bytes_of, open_seconds, opened, store_all
from bench.valkey.timing import figures, in_turn, ratio
from router_memory.backends.embedded import EmbeddedStore
from router_memory.ranking import rarest
from router_memory.types import CandidateQuery

__all__ = ["measure"]

_TOP = 10
_RECALL, _RESIDENT, _OPEN = 0.98, 1.3, 1.5
_USER = 0
_SMALL = 100
_WARMUP = 20
_MOST_SETTLES = 50


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Stores, searches without a graph, makes it, and searches with it."""
    corpus = Corpus(settings.seed)
    matrix = corpus.matrix(_USER, settings.memories)
    asked = corpus.asked(_USER, settings.queries)
    document: dict[str, Any] = {"memories": settings.memories}
    with TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        path, small = folder / "all" / "memories.db", folder / "small" / "memories.db"
        floor = bare_rate(folder, _batches(corpus, settings.floor_memories, settings.batch))
        async with opened(path, promote_at=settings.memories) as store:  # the graph is timed by itself, below
            seconds = await store_all(store, _batches(corpus, settings.memories, settings.batch), 1)
        print(f"  stored {settings.memories / seconds:.0f}/s, bare {floor:.0f}/s", flush=True)
        async with opened(small, promote_at=settings.promote_at) as store:
            await store_all(store, _batches(corpus, max(1, settings.memories // _SMALL), settings.batch), 1)
            await _settled(store, corpus, asked)
        document["rebuild"] = await _made_graph(path, corpus, asked, settings)
        bare = Bare(matrix)
        document["rebuild"]["bare_usearch_vectors_per_second"] = round(bare.rate)
        print(f"  made the graph: {document['rebuild']}", flush=True)
        opening = await open_seconds({"all": path, "small": small}, settings.opens)
        async with opened(path, promote_at=settings.promote_at) as store:
            document["reopened_graph_seconds"] = await _settled(store, corpus, asked)
            searches, recall, bare_recall = await _searches(store, bare, corpus, asked, matrix, settings)
        size = bytes_of(path.parent)
        resident = await of_scope(path, settings)
    own = matrix.nbytes
    document |= {
        "memories_per_second": {"store": round(settings.memories / seconds), "bare_sqlite": round(floor)},
        "bytes": size | {"vectors_as_float32": own},
        "open_ms": {key: round(value * 1e3, 3) for key, value in opening.items()},
        **{key: figures(taken) for key, taken in searches.items()},
        "recall_at_10": recall,
        "bare_usearch_recall_at_10": bare_recall,
        "resident": resident,
    }
    held = sum(resident[key] for key in ("anonymous_bytes", "mapped_bytes"))
    label = f"one user of {settings.memories:,}"
    return document, [
        at_least(f"{label}: recall@10", recall, _RECALL),
        Claim(f"{label}: recall@10 of usearch bare, one index of all", bare_recall),
        Claim(f"{label}: search, p50 ms", document["both"]["p50_ms"]),
        Claim(f"{label}: search, p95 ms", document["both"]["p95_ms"]),
        Claim(f"{label}: search, dense / usearch bare", ratio(searches["dense"], searches["usearch"])),
        Claim(f"{label}: search, dense / numpy scan", ratio(searches["dense"], searches["numpy"])),
        Claim(f"{label}: search for a stem that many hold, p50 ms", document["common"]["p50_ms"]),
        Claim(f"{label}: search without a graph, s", document["rebuild"]["exact_seconds"]),
        Claim(f"{label}: bare SQLite / store, memories a second", round(floor * seconds / settings.memories, 3)),
        Claim(
            f"{label}: bare usearch / rebuild, vectors a second",
            round(bare.rate / document["rebuild"]["vectors_per_second"], 3),
        ),
        Claim(f"{label}: bytes on disk / vectors as float32", round(sum(size.values()) / own, 3)),
        at_most(f"{label}: open / with {_SMALL} times fewer", round(opening["all"] / opening["small"], 3), _OPEN),
        at_most(f"{label}: resident, graph and all / vectors", round(held / own, 3), _RESIDENT),
    ]


def _batches(corpus: Corpus, memories: int, batch: int) -> Iterator[Batch]:
    for block in corpus.blocks(_USER, memories):
        for first in range(0, len(block), batch):
            yield corpus.scope(_USER), block[first : first + batch]


async def _settled(store: EmbeddedStore, corpus: Corpus, asked: NDArray[np.float32]) -> float:
    """Seconds until searches use a graph that has every vector, or all but the few that are scanned."""
    began = perf_counter()
    for _ in range(_MOST_SETTLES):
        await store.settle()
        result = await store.candidates(query(corpus.scope(_USER), asked[0], ()))
        if not result.exact:
            break
    await store.settle()
    return round(perf_counter() - began, 3)


async def _made_graph(path: Path, corpus: Corpus, asked: NDArray[np.float32], settings: Settings) -> dict[str, Any]:
    """Searches without a graph, and has it made from nothing: the same work as when its file is lost."""
    async with opened(path, promote_at=settings.memories, cache_bytes=0) as store:  # no graph is begun
        scans = []
        for vector in asked[: settings.scans]:
            began = perf_counter()
            await store.candidates(query(corpus.scope(_USER), vector, ()))
            scans.append(perf_counter() - began)
    async with opened(path, promote_at=settings.promote_at) as store:
        seconds = await _settled(store, corpus, asked)
    return {
        "exact_seconds": round(float(np.median(scans)), 3),
        "seconds": seconds,
        "vectors_per_second": round(settings.memories / seconds),
    }


async def _searches(
    store: EmbeddedStore,
    bare: Bare,
    corpus: Corpus,
    asked: NDArray[np.float32],
    matrix: NDArray[np.float32],
    settings: Settings,
) -> tuple[dict[str, Any], float, float]:
    """Both channels, the dense one alone, and one stem that many hold; usearch bare, and numpy over all vectors.

    Returns:
        Seconds of each, recall@10 of the dense channel, and that of usearch bare.
    """
    scope = corpus.scope(_USER)
    both: list[CandidateQuery] = []
    common: list[CandidateQuery] = []
    for number, vector in enumerate(asked):
        words = corpus.question(_USER, number, settings.memories)
        statistics = await store.statistics(scope, words)
        most = max(words, key=lambda word: statistics.frequency.get(word, 0))
        both.append(query(scope, vector, rarest(words, statistics)))
        common.append(query(scope, vector, (most,)))
    dense = [replace(one, stems=()) for one in both]

    async def searched(queries: list[CandidateQuery], number: int) -> None:
        await store.candidates(queries[number % len(queries)])

    async def numpy_scan(number: int) -> None:
        np.argpartition(-(matrix @ asked[number % len(asked)]), LIMIT)[:LIMIT]

    async def graph(number: int) -> None:
        bare.nearest(asked[number % len(asked)], LIMIT)

    works = {
        "both": lambda number: searched(both, number),
        "dense": lambda number: searched(dense, number),
        "usearch": graph,
    }
    taken = await in_turn(works, settings.queries, warmup=_WARMUP)
    rest = {"common": lambda number: searched(common, number), "numpy": numpy_scan}
    taken |= await in_turn(rest, min(settings.queries, 50), warmup=1)
    truth = _truth(matrix, asked)
    found, found_bare = [], []
    for one, vector, nearest in zip(dense, asked, truth, strict=True):
        candidates = (await store.candidates(one)).candidates
        best = sorted(candidates, key=lambda candidate: -candidate.cosine)[:_TOP]
        wanted = {corpus.identity(_USER, index) for index in nearest}
        found.append(len(wanted & {candidate.record.id for candidate in best}) / _TOP)
        found_bare.append(len(set(nearest) & _best(bare, matrix, vector)) / _TOP)
    return taken, round(float(np.mean(found)), 5), round(float(np.mean(found_bare)), 5)


def _best(bare: Bare, matrix: NDArray[np.float32], vector: NDArray[np.float32]) -> set[int]:
    """Places of the nearest of what usearch bare finds, by the vectors themselves, as the store orders its own."""
    places = bare.nearest(vector, LIMIT)
    return set(places[np.argsort(-(matrix[places] @ vector))[:_TOP]].tolist())


def _truth(matrix: NDArray[np.float32], asked: NDArray[np.float32]) -> list[list[int]]:
    return [np.argpartition(-(matrix @ vector), _TOP)[:_TOP].tolist() for vector in asked]
