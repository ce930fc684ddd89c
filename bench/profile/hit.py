"""Requests that level 1 of the hot cache answers."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

from bench.claims import Claim
from bench.profile.asking import opened_plugin, request, sampled
from bench.stages.corpus import make_corpus
from router_memory.types import CacheLevel

if TYPE_CHECKING:
    from bench.profile.settings import Settings

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """A few questions in rotation, after each has been asked once."""
    corpus = make_corpus(settings.memories, questions=4 * settings.questions, seed=settings.seed)
    questions = list(dict.fromkeys(asked.text for asked in corpus.questions))[: settings.questions]
    async with opened_plugin(settings) as (plugin, embedder):
        for question in questions:
            await request(plugin, question, CacheLevel.MISS)
        found, claims = await sampled("hit", plugin, cycle(questions), CacheLevel.LOCAL, settings)
    return {"runtime": embedder.runtime, **found}, claims
