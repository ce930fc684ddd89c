"""Hits of level 1 through the library, beside a bare GET."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from bench.cache.asking import SCOPE, about_100, asking, check_levels, counts, fill, make_corpus
from bench.cache.room import Place, Room, opened_room
from bench.cache.settings import Settings
from bench.cache.timing import in_order, microseconds, p50
from bench.claims import Claim, at_most
from bench.valkey.server import glide_client
from bench.valkey.timing import Work, in_turn, ratio
from router_memory.types import CacheLevel

if TYPE_CHECKING:
    from bench.cache.room import Opened

__all__ = ["measure"]

COHERENCES = ("strict", "bounded")
_VALUE = b"sixteen bytes ok"
_RATIO, _MICROSECONDS = 0.6, 100.0
_WARMUP = 200


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """The same questions again and again, by every store and coherence, and GETs of 16 bytes, all in turn."""
    corpus = make_corpus(settings.memories, questions=settings.drawn, seed=settings.seed)
    found: dict[str, Any] = {}
    works: dict[str, Work] = {}
    hitting: dict[str, Opened] = {}
    questions: list[str] = []
    async with AsyncExitStack() as stack:
        room = await stack.enter_async_context(opened_room())
        bare = await stack.enter_async_context(glide_client(room.cache))
        await bare.set("value", _VALUE)

        async def get(number: int) -> None:
            await bare.get("value")

        works["get"] = get
        for place in room.places("level1"):
            async with room.plugin(place) as opened:
                await fill(opened.plugin, corpus)
                questions = questions or await about_100(opened.plugin, corpus, settings.questions)
                found[place.backend] = await counts(opened.plugin, questions)
            for coherence in COHERENCES:
                name = f"{place.backend} {coherence}"
                hitting[name] = await stack.enter_async_context(_plugin(room, place, coherence))
                works[name] = asking(hitting[name].plugin, questions)
        if "valkey bounded" in works:
            works["valkey get then bounded"] = in_order(get, works["valkey bounded"])
            works["valkey epoch"] = _epoch(hitting["valkey strict"])
        for opened in hitting.values():
            await check_levels(opened, questions, CacheLevel.MISS)
            await check_levels(opened, questions, CacheLevel.LOCAL)
        timed = await in_turn(works, settings.hit_rounds, warmup=_WARMUP, streak=settings.hit_streak)
        for opened in hitting.values():
            await check_levels(opened, questions, CacheLevel.LOCAL)
            if opened.parts.counters["cache.miss"] != len(questions):
                raise RuntimeError("there were misses among the hits")
    figures = {name: microseconds(seconds) for name, seconds in timed.items()}
    claims = [Claim("bare GET of 16 bytes, p50 µs", p50(timed["get"]))]
    for name in hitting:
        gets = 1 if name == "valkey strict" else 0  # one round trip to the store, for the epoch
        allowed = " less one bare GET" if gets else ""
        value = round(ratio(timed[name], timed["get"]) - gets, 4)
        least = round(p50(timed[name]) - gets * p50(timed["get"]), 2)
        figures[name]["ratio_to_get"] = ratio(timed[name], timed["get"])
        claims += [
            at_most(f"level 1 hit, {name}, p50{allowed} / a bare GET", value, _RATIO),
            at_most(f"level 1 hit, {name}, p50 µs{allowed}", least, _MICROSECONDS),
        ]
    if "valkey strict" in timed:  # a GET among others is faster than one behind other work, which is where a hit has it
        beside = ratio(timed["valkey strict"], timed["valkey get then bounded"])
        claims.append(Claim("level 1 hit, valkey strict, p50 / a bare GET and a bounded hit", beside))
        claims.append(Claim("reading an epoch, valkey, p50 / a bare GET", ratio(timed["valkey epoch"], timed["get"])))
    return {"memories": settings.memories, "questions": found, **figures}, claims


def _epoch(opened: Opened) -> Work:
    """The round trip of a strict hit by itself."""

    async def epoch(number: int) -> None:
        await opened.parts.store.epoch(SCOPE)

    return epoch


def _plugin(room: Room, place: Place, coherence: str) -> Any:
    """One with both levels, as most will run it."""
    return room.plugin(place, room.shared(f"level1-{place.backend}-{coherence}:", coherence=coherence))
