"""Searches of ordinary users, beside the bare FT.SEARCH calls in them, at growing numbers of memories.

The users are asked again and again, so the store keeps their memories decoded, as those of users in a conversation;
`nothing known` is the same search by a store with room for a few users, all of whom are asked before one comes again:
every question is as the first one of its user, and pays for the keeping as well. Each of the two is compared with the
bare calls for itself, since one that decodes much leaves a process in which the other is slower. In turn with the bare
calls a search finds little of what it needs in the processor's caches; `10 in a row` takes streaks of either in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.claims import Claim, at_least, at_most
from bench.valkey.data import Corpus
from bench.valkey.loading import RawLoader, dump
from bench.valkey.server import PREFIX, Bare, Command, Recording, bare_client, info, own_server, redirected, store_on
from bench.valkey.settings import DIMENSION, Settings
from bench.valkey.timing import Work, figures, in_turn, processor_ms, ratio
from router_memory.backends.valkey import ValkeyStore
from router_memory.types import CandidateQuery
from tests.servers.process import Server

__all__ = ["Asked", "fill", "measure", "questions"]

_WARMUP = 200
_REFERENCE = "reference"
_REFERENCE_EF = 200
_STREAK = 10
"""Calls in one turn where what comes in between is not to decide; the reference's query, which walks a graph, leaves
nothing of ours in the caches."""
_FEW_USERS = 1 << 20
"""Bytes: room for the decoded memories of three or four of them."""
_BASE_RATIO = 1.5
_SCALE_RATIO = 1.5
_REFERENCE_RATIO = 8.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, the FT.SEARCH calls the store makes for it, and the reference's for the same."""

    query: CandidateQuery
    calls: tuple[Command, ...]
    reference: Command


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Fills a server to each size in turn; the one of the first size stays for the comparison of sizes."""
    corpus = Corpus(settings.seed)
    sizes: dict[str, Any] = {}
    claims: list[Claim] = []
    with ExitStack() as servers:
        async with AsyncExitStack() as clients:
            small = servers.enter_context(own_server())
            small_store = await clients.enter_async_context(store_on(small))
            small_fresh = await clients.enter_async_context(store_on(small, decoded_bytes=_FEW_USERS))
            large, users = small, 0
            for size in settings.sizes:
                if size != settings.sizes[0] and large is small:
                    large, users = servers.enter_context(own_server()), 0
                store, fresh = small_store, small_fresh
                if large is not small:
                    store = await clients.enter_async_context(store_on(large))
                    fresh = await clients.enter_async_context(store_on(large, decoded_bytes=_FEW_USERS))
                if not users:
                    await _check_loader(large, store, corpus)
                users = fill(large, corpus, settings, users, size // settings.memories_per_user)
                asked = await questions(large, corpus, settings, users)
                bare = await clients.enter_async_context(bare_client(large))
                works = _works(store, bare, asked)
                if large is not small:
                    base = await questions(small, corpus, settings, settings.sizes[0] // settings.memories_per_user)
                    works["store_at_the_first_size"] = _works(small_store, bare, base)["store"]
                found = await _counts(store, asked)
                timed = await in_turn(works, settings.search_rounds, warmup=_WARMUP)
                both = {name: works[name] for name in ("store", "bare_pipeline")}
                warm = await in_turn(both, settings.search_rounds, warmup=_WARMUP, streak=_STREAK)
                unknown = {"store": _works(fresh, bare, asked)["store"], "bare_pipeline": works["bare_pipeline"]}
                unknown_timed = await in_turn(unknown, settings.search_rounds, warmup=_WARMUP)
                works["store_nothing_known"] = unknown["store"]
                processor = await processor_ms(works, large.pid, blocks=settings.cpu_blocks, calls=settings.cpu_calls)
                ratios = {
                    "p50": ratio(timed["store"], timed["bare_pipeline"]),
                    "p95": ratio(timed["store"], timed["bare_pipeline"], 95),
                    "p50 in streaks": ratio(warm["store"], warm["bare_pipeline"]),
                    "p95 in streaks": ratio(warm["store"], warm["bare_pipeline"], 95),
                    "p50 one by one": ratio(timed["store"], timed["bare_one_by_one"]),
                    "p95 one by one": ratio(timed["store"], timed["bare_one_by_one"], 95),
                    "p50 own commands": ratio(timed["store"], timed["bare_own_commands"]),
                    "p50 nothing known": ratio(unknown_timed["store"], unknown_timed["bare_pipeline"]),
                }
                claims += [
                    at_most(
                        f"search at {size:,}, p50 / the bare FT.SEARCH in one pipeline", ratios["p50"], _BASE_RATIO
                    ),
                    at_most(
                        f"search at {size:,}, p95 / the bare FT.SEARCH in one pipeline", ratios["p95"], _BASE_RATIO
                    ),
                    *(
                        at_most(
                            f"search at {size:,}, {_STREAK} in a row, {percentile} / the same of the bare FT.SEARCH",
                            ratios[f"{percentile} in streaks"],
                            _BASE_RATIO,
                        )
                        for percentile in ("p50", "p95")
                    ),
                    at_most(
                        f"search at {size:,} with nothing known, p50 / the bare FT.SEARCH in one pipeline",
                        ratios["p50 nothing known"],
                        _BASE_RATIO,
                    ),
                    Claim(f"search at {size:,}, p50 / the bare FT.SEARCH one by one", ratios["p50 one by one"]),
                    Claim(f"search at {size:,}, p95 / the bare FT.SEARCH one by one", ratios["p95 one by one"]),
                ]
                if large is not small:
                    scale = ratio(timed["store"], timed["store_at_the_first_size"])
                    claims.append(at_most(f"search at {size:,}, p50 / at {settings.sizes[0]:,}", scale, _SCALE_RATIO))
                sizes[str(size)] = {
                    "users": users,
                    **found,
                    **{name: figures(seconds) for name, seconds in timed.items()},
                    "in_streaks": {name: figures(seconds) for name, seconds in warm.items()},
                    "nothing_known": {name: figures(seconds) for name, seconds in unknown_timed.items()},
                    "ratios": ratios,
                    "processor_ms": processor,
                    "used_memory": int(info(large, "memory")["used_memory"]),
                }
                if size == settings.sizes[0]:
                    sizes[str(size)]["reference"], more = await _reference(large, store, fresh, bare, asked, settings)
                    claims += more
    return {"sizes": sizes}, claims


def fill(server: Server, corpus: Corpus, settings: Settings, first: int, last: int) -> int:
    """Loads the users from `first` up to `last`, and gives `last`."""
    with RawLoader(server) as loader:
        for user in range(first, last):
            loader.load(corpus.scope(user), corpus.writes(user, settings.memories_per_user))
        loader.wait()
    return last


async def questions(server: Server, corpus: Corpus, settings: Settings, users: int) -> list[Asked]:
    """One question to each of the users asked, who are spread over all, with what the store sends for it."""
    connection = Recording(addresses=[server.address], timeout=60.0)
    asked = []
    async with store_on(server, connection) as store:
        for user in np.linspace(0, users - 1, min(users, settings.search_users)).astype(int).tolist():
            query = corpus.query(user, corpus.writes(user, settings.memories_per_user))
            connection.searches()
            await store.candidates(query)
            calls = connection.searches()
            asked.append(Asked(query, calls, redirected(calls[0], _REFERENCE, ef=_REFERENCE_EF)))
    return asked


def _works(store: ValkeyStore, bare: Bare, asked: Sequence[Asked]) -> dict[str, Work]:
    async def searched(number: int) -> None:
        await store.candidates(asked[number % len(asked)].query)

    async def pipelined(number: int) -> None:
        await bare.at_once(asked[number % len(asked)].calls)

    async def one_by_one(number: int) -> None:
        await bare.one_by_one(asked[number % len(asked)].calls)

    async def own_commands(number: int) -> None:
        one = asked[number % len(asked)]
        meta = f"{PREFIX}meta:{{{one.query.scope.user_digest}}}"
        await bare.at_once([("HMGET", meta, "epoch", "user"), *one.calls, ("HGET", meta, "epoch")])

    return {
        "store": searched,
        "bare_pipeline": pipelined,
        "bare_one_by_one": one_by_one,
        "bare_own_commands": own_commands,
    }


async def _counts(store: ValkeyStore, asked: Sequence[Asked]) -> dict[str, Any]:
    """What the questions find."""
    union, lexical = [], []
    for one in asked:
        union.append(len((await store.candidates(one.query)).candidates))
        lexical.append(len((await store.candidates(replace(one.query, vector=None))).candidates))
    return {"candidates_mean": float(np.mean(union)), "lexical_candidates_mean": float(np.mean(lexical))}


async def _reference(
    server: Server, store: ValkeyStore, fresh: ValkeyStore, bare: Bare, asked: Sequence[Asked], settings: Settings
) -> tuple[dict[str, Any], list[Claim]]:
    """The same questions to one HNSW index over everybody's vectors, filtered by the user, as the reference does."""
    graph = ("M", "16", "EF_CONSTRUCTION", "256")
    options = ("TYPE", "FLOAT32", "DIM", str(DIMENSION), "DISTANCE_METRIC", "COSINE", *graph)
    schema = ("user", "TAG", "CASESENSITIVE", "embedding", "VECTOR", "HNSW", str(len(options)), *options)
    await bare.command("FT.CREATE", _REFERENCE, "ON", "HASH", "PREFIX", "1", f"{PREFIX}{{", "SCHEMA", *schema)
    while not _whole(await bare.command("FT.INFO", _REFERENCE)):
        pass

    async def searched(number: int) -> None:
        await store.candidates(asked[number % len(asked)].query)

    async def nothing_known(number: int) -> None:
        await fresh.candidates(asked[number % len(asked)].query)

    async def dense(number: int) -> None:
        await store.candidates(replace(asked[number % len(asked)].query, stems=()))

    async def reference(number: int) -> None:
        await bare.command(*asked[number % len(asked)].reference)

    works: dict[str, Work] = {
        "store": searched,
        "store_nothing_known": nothing_known,
        "store_dense_only": dense,
        "reference": reference,
    }
    timed = await in_turn(works, settings.reference_rounds, warmup=_STREAK, streak=_STREAK)
    await bare.command("FT.DROPINDEX", _REFERENCE)
    faster = ratio(timed["reference"], timed["store"])
    dense_faster = ratio(timed["reference"], timed["store_dense_only"])
    size = settings.sizes[0]
    claims = [
        at_least(f"the reference's KNN / search, both channels, at {size:,}", faster, _REFERENCE_RATIO),
        at_least(
            f"the reference's KNN / search with nothing known, both channels, at {size:,}",
            ratio(timed["reference"], timed["store_nothing_known"]),
            _REFERENCE_RATIO,
        ),
        Claim(f"the reference's KNN / search, dense alone, at {size:,}", dense_faster),
    ]
    return {name: figures(seconds) for name, seconds in timed.items()}, claims


def _whole(reply: Any) -> bool:
    state = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
    return bool(state[b"state"] == b"ready" and int(state[b"mutation_queue_size"]) == 0)


async def _check_loader(server: Server, store: ValkeyStore, corpus: Corpus) -> None:
    """Raises `RuntimeError` unless the raw loader leaves behind exactly what the store does."""
    user = 10**9
    scope, writes = corpus.scope(user), corpus.writes(user, 20)
    await store.add(scope, writes)
    by_store = dump(server, scope, writes)
    await store.forget_scope(scope)
    with RawLoader(server) as loader:
        loader.load(scope, writes)
        loader.wait()
    by_loader = dump(server, scope, writes)
    await store.forget_scope(scope)
    if by_store != by_loader:
        raise RuntimeError("the raw loader writes something else than the store")
