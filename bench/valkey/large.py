"""Users with very many memories: the graph a user gets, beside exact search, and how much of the truth it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.claims import Claim, at_least, at_most
from bench.valkey.data import Corpus, clustered_vectors, random_vectors
from bench.valkey.loading import RawLoader
from bench.valkey.server import PREFIX, Bare, Command, Recording, bare_client, info, own_server, redirected, store_on
from bench.valkey.settings import DIMENSION, Settings
from bench.valkey.timing import Work, figures, in_turn, ratio
from router_memory.backends.valkey import ValkeyStore
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.schema import Shape, create_promoted, parse_info
from router_memory.types import CandidateQuery
from tests.servers.process import Server

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Draw", "measure", "through_the_store"]

Draw = Callable[[np.random.Generator, int], "NDArray[np.float32]"]
"""Makes so many unit vectors: float32 of shape (count, DIMENSION)."""

KINDS: dict[str, Draw] = {"random": random_vectors, "clustered": clustered_vectors}

_TOP = 10
_EF = 200
_DEFAULT_GRAPH = (16, 256)
_WARMUP = 20
_POLL_SECONDS = 0.05
_RECALL, _TIMES_SMALL = 0.98, 3.0


@dataclass(frozen=True, slots=True)
class _User:
    """A user who is loaded, and questions with the true ten nearest of each."""

    keys: Keys
    vectors: int
    queries: tuple[CandidateQuery, ...]
    truth: tuple[frozenset[str], ...]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """For vectors without structure and for clustered ones: the store, the settings of graphs, and where they pay."""
    document: dict[str, Any] = {}
    claims: list[Claim] = []
    for kind, draw in KINDS.items():
        document[kind] = {}
        document[kind]["store"], found = await through_the_store(f"{kind} vectors", draw, settings)
        claims += found
        print(f"  {kind}: the store {document[kind]['store']}", flush=True)
        document[kind]["exact_or_graph"] = await _crossover(draw, settings)
        print(f"  {kind}: exact or graph {document[kind]['exact_or_graph']}", flush=True)
        document[kind]["graphs"] = await _tuning(draw, settings)
        print(f"  {kind}: graphs {document[kind]['graphs']}", flush=True)
    return document, claims


# -- through the store


async def through_the_store(kind: str, draw: Draw, settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Recall and time of users with graphs of their own, beside one who is searched exactly.

    Args:
        kind: What the vectors are, for the names of the figures.
        draw: Makes them.
        settings: Their numbers.
    """
    corpus = Corpus(settings.seed)
    with own_server() as server:
        async with store_on(server, promote_at=settings.promote_at) as store:
            small = _load(server, corpus, draw, 1, settings.small_size, settings)
            large = [
                _load(server, corpus, draw, 10 + number, settings.large_size, settings)
                for number in range(settings.large_users)
            ]
            largest = _load(server, corpus, draw, 2, settings.largest_size, settings)
            seconds = [await _promoted(store, user) for user in (*large, largest)]
            groups = {"small": [small], "large": large, "largest": [largest]}
            works: dict[str, Work] = {}
            for name, users in groups.items():
                works[f"{name}_dense"] = _searches(store, users, dense=True)
                works[f"{name}_both"] = _searches(store, users, dense=False)
            timed = await in_turn(works, settings.large_rounds, warmup=_WARMUP)
            recalls = {name: await _store_recall(store, users) for name, users in groups.items()}
            async with bare_client(server) as bare:
                by_ef = {
                    f"{user.vectors}": await _by_ef(server, bare, f"mem_idx{{{user.keys.user}}}", user, settings)
                    for user in (large[0], largest)
                }
    document = {
        "promote_at": settings.promote_at,
        "recall_at_10": recalls,
        "promotion_seconds": {"large_mean": round(float(np.mean(seconds[:-1])), 2), "largest": round(seconds[-1], 2)},
        **{name: figures(taken) for name, taken in timed.items()},
        "by_ef_runtime": by_ef,
    }
    claims = []
    sizes = {"large": settings.large_size, "largest": settings.largest_size}
    for name, size in sizes.items():
        label = f"{kind}, users of {size:,}"
        claims.append(at_least(f"{label}: recall@10", recalls[name], _RECALL))
        for channels in ("dense", "both"):
            value = ratio(timed[f"{name}_{channels}"], timed[f"small_{channels}"])
            title = f"{label}: p50 / a user of {settings.small_size:,}, {channels}"
            claims.append(at_most(title, value, _TIMES_SMALL))
    return document, claims


def _load(server: Server, corpus: Corpus, draw: Draw, user: int, count: int, settings: Settings) -> _User:
    """Stores `count` memories and makes questions from the same distribution."""
    rng = np.random.default_rng((settings.seed, user, 3))
    drawn = draw(rng, count + settings.large_queries)
    vectors, asked = drawn[:count], drawn[count:]
    scope, writes = corpus.scope(user), corpus.writes(user, count, vectors)
    with RawLoader(server) as loader:
        loader.load(scope, writes)
        loader.wait()
    nearest_ones = np.argpartition(-(asked @ vectors.T), _TOP, axis=1)[:, :_TOP]
    ids = [write.record.id for write in writes]
    return _User(
        Keys.of(PREFIX, scope),
        count,
        tuple(corpus.queries(user, writes, asked)),
        tuple(frozenset(ids[index] for index in row) for row in nearest_ones.tolist()),
    )


async def _promoted(store: ValkeyStore, user: _User) -> float:
    """Seconds until a large user's graph is used; a search is what starts to make it."""
    began = perf_counter()
    await store.candidates(user.queries[0])
    await store.settle()
    if (await store.candidates(replace(user.queries[0], stems=()))).exact:
        raise RuntimeError("a large user was not promoted")
    return perf_counter() - began


def _searches(store: ValkeyStore, users: Sequence[_User], *, dense: bool) -> Work:
    async def searched(number: int) -> None:
        user = users[number % len(users)]
        query = user.queries[number // len(users) % len(user.queries)]
        await store.candidates(replace(query, stems=()) if dense else query)

    return searched


async def _store_recall(store: ValkeyStore, users: Sequence[_User]) -> float:
    found = []
    for user in users:
        for query, truth in zip(user.queries, user.truth, strict=True):
            candidates = (await store.candidates(replace(query, stems=()))).candidates
            best = sorted(candidates, key=lambda candidate: -candidate.cosine)[:_TOP]
            found.append(len(truth & {candidate.record.id for candidate in best}) / _TOP)
    return round(float(np.mean(found)), 4)


# -- graphs by themselves


async def _crossover(draw: Draw, settings: Settings) -> dict[str, Any]:
    """Exact search beside a graph with the default settings, for users with growing numbers of memories."""
    corpus, works, document = Corpus(settings.seed), {}, {}
    with own_server() as server:
        async with store_on(server, max_promoted=0), bare_client(server) as bare:
            for number, size in enumerate(settings.crossover_sizes):
                user = _load(server, corpus, draw, 100 + number, size, settings)
                graph = await _graph(server, bare, user, *_DEFAULT_GRAPH)
                calls = await _graph_calls(server, graph["name"], user, _EF)
                works[f"exact {size}"] = _calls(bare, await _exact_calls(server, user))
                works[f"graph {size}"] = _calls(bare, calls)
                document[str(size)] = graph | {"recall_at_10": await _recall(bare, calls, user)}
            timed = await in_turn(works, settings.large_rounds, warmup=_WARMUP)
    first = timed[f"exact {settings.crossover_sizes[0]}"]
    for size in settings.crossover_sizes:
        exact, approximate = timed[f"exact {size}"], timed[f"graph {size}"]
        document[str(size)] |= {
            "exact": figures(exact),
            "graph": figures(approximate),
            "graph / exact": ratio(approximate, exact),
            "exact / exact at the first size": ratio(exact, first),
            "graph / exact at the first size": ratio(approximate, first),
        }
    return document


async def _tuning(draw: Draw, settings: Settings) -> dict[str, Any]:
    """Graphs over the same vectors made with different settings."""
    corpus, document = Corpus(settings.seed), {}
    for m, ef_construction in settings.tuning:
        with own_server() as server:  # of its own: what a dropped graph took would be given to the next
            async with store_on(server, max_promoted=0), bare_client(server) as bare:
                user = _load(server, corpus, draw, 200, settings.tuning_size, settings)
                graph = await _graph(server, bare, user, m, ef_construction)
                by_ef = await _by_ef(server, bare, graph["name"], user, settings)
        document[f"m {m}, ef_construction {ef_construction}"] = graph | {"by_ef_runtime": by_ef}
    return document


async def _by_ef(server: Server, bare: Bare, name: str, user: _User, settings: Settings) -> dict[str, Any]:
    """Recall and time of one graph by EF_RUNTIME."""
    calls = {str(ef): await _graph_calls(server, name, user, ef) for ef in settings.ef_runtimes}
    works = {ef: _calls(bare, one) for ef, one in calls.items()}
    timed = await in_turn(works, settings.large_rounds, warmup=_WARMUP)
    return {ef: figures(timed[ef]) | {"recall_at_10": await _recall(bare, one, user)} for ef, one in calls.items()}


async def _graph(server: Server, bare: Bare, user: _User, m: int, ef_construction: int) -> dict[str, Any]:
    """Makes a user's graph as a promotion does, and waits until it is whole."""
    name = f"graph-{m}{{{user.keys.user}}}"
    shape = Shape(m=m, ef_construction=ef_construction, ef_runtime=_EF)
    before, began = int(info(server, "memory")["used_memory"]), perf_counter()
    await bare.command(*create_promoted(name, user.keys.base, DIMENSION, shape, user.vectors))
    while not parse_info(await bare.command("FT.INFO", name)).ready:  # noqa: ASYNC110  # the server tells nobody
        await asyncio.sleep(_POLL_SECONDS)
    seconds = perf_counter() - began
    grown = int(info(server, "memory")["used_memory"]) - before
    return {"name": name, "build_seconds": round(seconds, 2), "bytes_per_vector": round(grown / user.vectors)}


async def _exact_calls(server: Server, user: _User) -> list[Command]:
    """What the store sends for the dense channel of each question while there is no graph."""
    connection = Recording(addresses=[server.address], timeout=60.0)
    async with store_on(server, connection, max_promoted=0) as store:
        for query in user.queries:
            await store.candidates(replace(query, stems=()))
    return list(connection.searches())


async def _graph_calls(server: Server, name: str, user: _User, ef: int) -> list[Command]:
    """The same, to a graph of the user's own."""
    return [redirected(call, name, where="*", ef=ef) for call in await _exact_calls(server, user)]


def _calls(bare: Bare, calls: Sequence[Command]) -> Work:
    async def call(number: int) -> None:
        await bare.command(*calls[number % len(calls)])

    return call


async def _recall(bare: Bare, calls: Sequence[Command], user: _User) -> float:
    """Share of the true ten nearest among the first ten found."""
    found = []
    for call, truth in zip(calls, user.truth, strict=True):
        hits = (await bare.command(*call))[1]
        best = [user.keys.id_of(key.decode()) for key in list(hits)[:_TOP]]
        found.append(len(truth.intersection(best)) / _TOP)
    return round(float(np.mean(found)), 4)
