"""Hits of level 2 through the library, beside a bare GET of the same bytes.

What a hit is allowed beside the GET is the rerank: all that a search does with candidates whose records are read. It
is timed behind a GET, as in a hit: after waiting for a socket the same work takes longer than in a loop by itself,
which is there for comparison. The floor is what no cache of this form goes below: one bare GET of the bytes, decoding
them, and reading the records that are shown.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.cache.asking import DECISION, LIMIT, SCOPE, about_100, asking, check_levels, counts, fill, make_corpus
from bench.cache.room import opened_room
from bench.cache.settings import Settings
from bench.cache.timing import in_order, microseconds, p50
from bench.claims import Claim, at_most
from bench.valkey.server import glide_client
from bench.valkey.timing import Work, in_turn
from router_memory.cache.codec import COMPRESS_FROM, decode
from router_memory.cache.keys import KEY_BYTES
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.shortlist import BELOW_SHOWN
from router_memory.ranking import calibration_for
from router_memory.types import CacheLevel, Retrieved

if TYPE_CHECKING:
    from glide import GlideClient

    from bench.cache.room import Opened
    from router_memory.types import Retrieval, SearchQuery
    from tests.servers.process import Server
    from tests.servers.resp import Answer

__all__ = ["measure"]

_RATIOS = {"strict": 2.0, "bounded": 1.5}
_TIMEOUT_MS = 2_000
"""A slow look must count and not become a miss."""
_WARMUP = 200
_FILL_SECONDS = 10.0
_SHOWN = LIMIT + BELOW_SHOWN
"""Records that a search reads: those returned, and those to be looked at beside them."""
_FLAGS_AT = 5
"""Byte of a value that tells whether it is compressed."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What level 2 holds of one question.

    Attributes:
        field: Digest of the question.
        value: As the server has it.
        copy: Key of the same bytes as a string.
    """

    field: bytes
    value: bytes
    copy: str

    def read(self) -> Retrieval:
        """The answer."""
        return decode(self.value, self.field, SCOPE)


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Hits, bare GETs of the values that they read, decoding, and ranking what was decoded, all in turn."""
    corpus = make_corpus(settings.memories, questions=settings.drawn, seed=settings.seed)
    found: dict[str, Any] = {}
    works: dict[str, Work] = {}
    hitting: dict[str, Opened] = {}
    questions: list[str] = []
    async with AsyncExitStack() as stack:
        room = await stack.enter_async_context(opened_room())
        bare = await stack.enter_async_context(glide_client(room.cache))
        for place in room.places("level2"):
            backend = place.backend
            async with room.plugin(place) as opened:
                await fill(opened.plugin, corpus)
                questions = questions or await about_100(opened.plugin, corpus, settings.questions)
                found[backend] = await counts(opened.plugin, questions)
            for coherence in _RATIOS:
                prefix = f"level2-{backend}-{coherence}:"
                section = room.shared(prefix, coherence=coherence, local_mb=0, cache_timeout_ms=_TIMEOUT_MS)
                opened = await stack.enter_async_context(room.plugin(place, section))
                await check_levels(opened, questions, CacheLevel.MISS)
                kept = await _kept(room.cache, prefix, questions)
                hitting[f"{backend} {coherence}"] = opened
                works[f"{backend} {coherence}"] = asking(opened.plugin, questions)
            works |= {
                f"{backend} get": _getting(bare, kept),
                f"{backend} get then rerank": in_order(_getting(bare, kept), _ranking(kept, questions, opened)),
                f"{backend} rerank by itself": _ranking(kept, questions, opened),
                f"{backend} get then decode": in_order(_getting(bare, kept), _decoding(kept, _SHOWN)),
                f"{backend} decode by itself": _decoding(kept, 0),
            }
            sizes = [len(one.value) for one in kept]
            found[backend] |= {
                "value_bytes_median": median(sizes),
                "value_bytes_most": max(sizes),
                "compressed": sum(bool(one.value[_FLAGS_AT]) for one in kept),
                "of": len(kept),
                "compressed_from_bytes": COMPRESS_FROM,
            }
        for opened in hitting.values():
            await check_levels(opened, questions, CacheLevel.SHARED)
        timed = await in_turn(works, settings.hit_rounds, warmup=_WARMUP, streak=settings.hit_streak)
        for opened in hitting.values():
            if opened.parts.counters["cache.miss"] != len(questions):
                raise RuntimeError("there were misses among the hits")
    figures = {name: microseconds(seconds) for name, seconds in timed.items()}
    claims = []
    for name in hitting:
        backend, coherence = name.split()
        get = p50(timed[f"{backend} get"])
        rerank = p50(timed[f"{backend} get then rerank"]) - get
        value = round((p50(timed[name]) - rerank) / get, 4)
        figures[name] |= {"ratio_to_get": round(p50(timed[name]) / get, 4), "without_rerank_ratio_to_get": value}
        claims.append(
            at_most(f"level 2 hit, {name}, p50 less the rerank / a bare GET of it", value, _RATIOS[coherence])
        )
    for backend in found:
        floor = round(p50(timed[f"{backend} get then decode"]) / p50(timed[f"{backend} get"]), 4)
        claims.append(Claim(f"floor of it, {backend}: a bare GET, decoded and shown / a bare GET of it", floor))
    return {"memories": settings.memories, "questions": found, **figures}, claims


async def _kept(server: Server, prefix: str, questions: list[str]) -> list[_Kept]:
    """What the server holds for the questions, in their order, once all of it was written.

    Raises:
        RuntimeError: It was not written.
    """
    key = f"{prefix}{{{SCOPE.user_digest}}}"
    for _ in range(int(_FILL_SECONDS / 0.05)):
        pairs = _answers(server.ask("HGETALL", key))
        if len(pairs) == len(questions):
            break
        await asyncio.sleep(0.05)
    else:
        raise RuntimeError(f"level 2 holds {len(pairs)} answers of {len(questions)}")
    by_text: dict[str, _Kept] = {}
    for field, value in pairs:
        one = _Kept(field, value, f"copy:{prefix}{field.hex()}")
        server.ask("SET", one.copy, value)
        by_text[one.read().text] = one
    return [by_text[text] for text in questions]


def _answers(reply: Answer) -> list[tuple[bytes, bytes]]:
    """Fields and values of a user's hash that are questions and answers."""
    assert isinstance(reply, list)
    parts = [part for part in reply if isinstance(part, bytes)]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [(field, value) for field, value in pairs if len(field) == KEY_BYTES]


def _getting(bare: GlideClient, kept: list[_Kept]) -> Work:
    async def getting(number: int) -> None:
        await bare.get(kept[number % len(kept)].copy)

    return getting


def _decoding(kept: list[_Kept], records: int) -> Work:
    """Answers read, with so many of their records."""

    async def decoding(number: int) -> None:
        retrieval = kept[number % len(kept)].read()
        for place in range(records):
            retrieval.records[place]

    return decoding


def _ranking(kept: list[_Kept], questions: list[str], opened: Opened) -> Work:
    """Searches whose candidates are at hand and not ranked yet."""
    recall = Recall(_Decoded(kept), lambda: calibration_for(opened.embedder.fingerprint, opened.embedder.runtime))
    policy = replace(opened.parts.config.policy(DECISION).recall, limit=LIMIT, threshold=0.0)

    async def ranking(number: int) -> None:
        await recall.recollect(SCOPE, questions[number % len(questions)], policy)

    return ranking


class _Decoded:
    """Has the answers at hand; implements `Retriever`."""

    def __init__(self, kept: list[_Kept]) -> None:
        self._by_text = {retrieval.text: retrieval for retrieval in (one.read() for one in kept)}
        for retrieval in self._by_text.values():
            list(retrieval.records)  # they are read when they are asked for, which is no part of ranking

    async def retrieve(self, query: SearchQuery, *, until: float = math.inf) -> Retrieved:
        """The answer, as if it were new."""
        del until
        retrieval = self._by_text[query.text]
        retrieval.memo.clear()
        return Retrieved(retrieval, CacheLevel.SHARED)
