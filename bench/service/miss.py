"""Chats with questions that nobody asked before: the model embeds each of them."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

from bench.cache.embedder import Model
from bench.claims import Claim, at_most
from bench.service.comparing import compare
from bench.service.room import READING, opened_room
from bench.service.settings import Settings

__all__ = ["measure"]

_ADDED_MS = 4.0
_REASON = "injected"
_EMBEDDINGS = 200


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Plain answers by many clients and streamed ones by one; before and after, what embedding a question takes."""
    async with opened_room(settings) as room:
        before = await _embedding_ms(list(room.questions))
        plain = await compare(
            room, settings, READING, _REASON, stream=False, connections=settings.connections, new=True
        )
        alone = await compare(room, settings, READING, _REASON, stream=True, connections=1, new=True)
        after = await _embedding_ms(list(room.questions))
    embedding = min(before, after)  # it is subtracted: the greater would flatter what is left
    added = round(alone["first_token_added_ms"] - embedding, 3)
    return {"plain": plain, "alone": alone, "embedding_p50_ms": embedding, "embedding_p50_ms_of": [before, after]}, [
        Claim("miss, plain, chats a second", plain["service"]["a_second"]),
        Claim("miss, plain, throughput / pass-through", plain["throughput_ratio"]),
        Claim("embedding a question, ms", embedding),
        at_most("miss, first token, ms more than the embedding", added, _ADDED_MS),
    ]


async def _embedding_ms(questions: list[str]) -> float:
    seconds = []
    async with Model() as model:
        for number in range(_EMBEDDINGS):
            text = f"{questions[number % len(questions)]} I mean the one of booking {number}."
            began = perf_counter()
            await model.bert.embed_query(text)
            seconds.append(perf_counter() - began)
    return round(median(seconds) * 1e3, 3)
