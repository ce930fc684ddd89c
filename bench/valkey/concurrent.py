"""Many searches at once beside one at a time."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import numpy as np

from bench.claims import Claim, at_least
from bench.valkey.data import Corpus
from bench.valkey.searches import Asked, fill, questions
from bench.valkey.server import bare_client, own_server, store_on
from bench.valkey.settings import Settings
from bench.valkey.timing import Work, settle_garbage

__all__ = ["measure"]

_TARGET = 1.3


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Searches per second by one searcher and by all, taken in turn."""
    corpus = Corpus(settings.seed)
    with own_server() as server:
        async with store_on(server) as store, bare_client(server) as bare:
            users = fill(server, corpus, settings, 0, settings.sizes[0] // settings.memories_per_user)
            asked = await questions(server, corpus, settings, users)

            async def searched(number: int) -> None:
                await store.candidates(asked[number % len(asked)].query)

            async def pipelined(number: int) -> None:
                await bare.at_once(asked[number % len(asked)].calls)

            through_store = await _compared(searched, settings, asked)
            bare_calls = await _compared(pipelined, settings, asked)
    document = {"searchers": settings.searchers, "store": through_store, "bare_pipeline_one_client": bare_calls}
    value = through_store["ratio"]
    return document, [at_least(f"{settings.searchers} searchers / one, searches per second", value, _TARGET)]


async def _compared(work: Work, settings: Settings, asked: list[Asked]) -> dict[str, float]:
    settle_garbage()
    await _throughput(work, 1, settings.segment_seconds / 2, len(asked))
    one: list[float] = []
    many: list[float] = []
    for number in range(settings.segments):
        for at_once in (1, settings.searchers) if number % 2 else (settings.searchers, 1):
            (one if at_once == 1 else many).append(
                await _throughput(work, at_once, settings.segment_seconds, len(asked))
            )
    return {
        "one_per_second": round(float(np.median(one))),
        "all_per_second": round(float(np.median(many))),
        "ratio": round(float(np.median(many) / np.median(one)), 4),
    }


async def _throughput(work: Work, at_once: int, seconds: float, questions: int) -> float:
    """Calls per second."""
    until = perf_counter() + seconds

    async def searcher(first: int) -> int:
        done = 0
        while perf_counter() < until:
            await work(first + done)
            done += 1
        return done

    began = perf_counter()
    done = await asyncio.gather(*(searcher(index * questions // at_once) for index in range(at_once)))
    return sum(done) / (perf_counter() - began)
