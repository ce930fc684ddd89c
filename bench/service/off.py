"""Chats without memory, by a decision that has it off."""

from __future__ import annotations

from typing import Any

from bench.claims import Claim, at_least, at_most
from bench.service.comparing import compare
from bench.service.room import OFF, opened_room
from bench.service.settings import Settings

__all__ = ["measure"]

_RATIO, _ADDED_MS = 0.9, 1.0
_REASON = "decision_config"


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Plain and streamed answers by many clients, and streamed ones by one."""
    async with opened_room(settings) as room:
        many = settings.connections
        plain = await compare(room, settings, OFF, _REASON, stream=False, connections=many)
        streamed = await compare(room, settings, OFF, _REASON, stream=True, connections=many)
        alone = await compare(room, settings, OFF, _REASON, stream=True, connections=1)
    return {"plain": plain, "streamed": streamed, "alone": alone}, [
        at_least("memory off, plain, throughput / pass-through", plain["throughput_ratio"], _RATIO),
        at_least("memory off, streamed, throughput / pass-through", streamed["throughput_ratio"], _RATIO),
        Claim("memory off, plain, processor time of pass-through / service", plain["processor_ratio"]),
        Claim("memory off, streamed, processor time of pass-through / service", streamed["processor_ratio"]),
        at_most("memory off, first token, ms more", alone["first_token_added_ms"], _ADDED_MS),
        Claim("memory off, first token of the tenth answered soonest, ms more", alone["first_token_added_p10_ms"]),
    ]
