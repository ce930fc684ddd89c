"""Requests with questions that nobody asked before, with the cache and without it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cache.asking import SCOPE, fill, make_corpus
from bench.cache.room import opened_room
from bench.cache.settings import Settings
from bench.cache.timing import microseconds
from bench.claims import Claim, at_most
from bench.stages.corpus import START
from bench.valkey.timing import Work, in_turn, ratio
from router_memory import Outcome, Status
from router_memory.types import CacheLevel

if TYPE_CHECKING:
    from bench.cache.room import Opened

__all__ = ["measure"]

_RATIO = 1.05
_WARMUP_TURNS = 4
_PAUSE_SECONDS = 0.02
_BLOCKS, _BLOCK = 8, 6
_BLOCK_PAUSE_SECONDS = 0.2
"""After a block of misses, in which what they left to be written is written."""
_NOW = START + timedelta(days=365)


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Whole requests with the model, the same new question without the cache and with both levels of it, in turn."""
    warmup = _WARMUP_TURNS * settings.miss_streak
    wanted = settings.miss_rounds + warmup + _BLOCKS * _BLOCK
    corpus = make_corpus(settings.memories, questions=2 * wanted, seed=settings.seed)
    questions = list(dict.fromkeys(asked.text for asked in corpus.questions))[:wanted]
    if len(questions) < wanted:
        raise RuntimeError("the questions repeat themselves")
    document: dict[str, Any] = {"memories": settings.memories}
    claims: list[Claim] = []
    async with opened_room() as room:
        for place in room.places("miss"):
            async with AsyncExitStack() as stack:
                off = await stack.enter_async_context(room.plugin(place))
                await fill(off.plugin, corpus)
                on = await stack.enter_async_context(room.plugin(place, room.shared(f"miss-{place.backend}:")))
                works = {"off": _asking(off, questions, warmup), "on": _asking(on, questions, warmup)}
                streak = settings.miss_streak
                timed = await in_turn(works, settings.miss_rounds, warmup=warmup, streak=streak, pause=_PAUSE_SECONDS)
                processor = await _processor(works, settings.miss_rounds)
                await on.plugin.drain()
                counters = on.parts.counters
                if counters["cache.miss"] != wanted:
                    raise RuntimeError(f"{counters['cache.miss']} misses of {wanted} requests")
            value = ratio(timed["on"], timed["off"])
            document[place.backend] = {
                **{name: microseconds(seconds) for name, seconds in timed.items()},
                "ratio": value,
                "processor_ms": processor,
                "p95_ratio": ratio(timed["on"], timed["off"], 95),
                "difference_p50_us": round(float(np.median(timed["on"] - timed["off"])) * 1e6, 1),
                "counters": {name: count for name, count in counters.items() if name.startswith("cache.")},
            }
            claims.append(at_most(f"a miss, {place.backend}, p50 with the cache / without", value, _RATIO))
            spent = round(processor["on"] / processor["off"], 4)
            claims.append(Claim(f"a miss, {place.backend}, processor time with the cache / without, all told", spent))
    return document, claims


async def _processor(works: Mapping[str, Work], first: int) -> dict[str, float]:
    """Milliseconds of this process's processor time that a miss takes in the median, with what it leaves to be done.

    Args:
        works: By name.
        first: Number of the first question that none of them has asked yet.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for block in range(_BLOCKS):
        for name, work in works.items():
            began = process_time()
            for number in range(_BLOCK):
                await work(first + block * _BLOCK + number)
            await asyncio.sleep(_BLOCK_PAUSE_SECONDS)
            taken[name].append(process_time() - began)
    return {name: round(float(np.median(seconds)) / _BLOCK * 1e3, 4) for name, seconds in taken.items()}


def _asking(opened: Opened, questions: Sequence[str], warmup: int) -> Work:
    async def asking(number: int) -> None:
        outcome = await opened.plugin.on_request(
            decision="personalized_route",
            user_id=SCOPE.user_id,
            messages=[{"role": "user", "content": questions[number + warmup]}],
            conversation_id="now",
            now=_NOW,
        )
        _check(outcome)

    return asking


def _check(outcome: Outcome) -> None:
    found = outcome.explain.recollection
    if outcome.status is Status.UNAVAILABLE or found is None:
        raise RuntimeError(f"{outcome.reason}: {outcome.explain.error}")
    if found.cache not in (CacheLevel.OFF, CacheLevel.MISS):
        raise RuntimeError(f"answered by {found.cache}")
