"""Requests with questions that nobody asked before: embedding, search, ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.claims import Claim
from bench.profile.asking import opened_plugin, sampled
from bench.throughput.asking import new_questions
from router_memory.types import CacheLevel

if TYPE_CHECKING:
    from bench.profile.settings import Settings

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Each question is a new one."""
    async with opened_plugin(settings) as (plugin, embedder):
        found, claims = await sampled("miss", plugin, new_questions(settings.seed), CacheLevel.MISS, settings)
    return {"runtime": embedder.runtime, **found}, claims
