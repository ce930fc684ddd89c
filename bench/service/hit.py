"""Chats whose memories level 1 of the cache has."""

from __future__ import annotations

from typing import Any

from bench.claims import Claim, at_least, at_most
from bench.service.comparing import compare
from bench.service.room import READING, opened_room
from bench.service.settings import Settings

__all__ = ["measure"]

_RATIO, _ADDED_MS = 0.7, 1.0
_REASON = "injected"


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """The same questions again and again: plain and streamed answers by many clients, and streamed ones by one."""
    async with opened_room(settings) as room:
        many = settings.connections
        plain = await compare(room, settings, READING, _REASON, stream=False, connections=many)
        streamed = await compare(room, settings, READING, _REASON, stream=True, connections=many)
        alone = await compare(room, settings, READING, _REASON, stream=True, connections=1)
    return {"plain": plain, "streamed": streamed, "alone": alone}, [
        at_least("level 1 hit, plain, throughput / pass-through", plain["throughput_ratio"], _RATIO),
        at_least("level 1 hit, streamed, throughput / pass-through", streamed["throughput_ratio"], _RATIO),
        Claim("level 1 hit, plain, processor time of pass-through / service", plain["processor_ratio"]),
        Claim("level 1 hit, streamed, processor time of pass-through / service", streamed["processor_ratio"]),
        at_most("level 1 hit, first token, ms more", alone["first_token_added_ms"], _ADDED_MS),
        Claim("level 1 hit, first token of the tenth answered soonest, ms more", alone["first_token_added_p10_ms"]),
    ]
