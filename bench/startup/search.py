"""One search from the command line, with each runtime."""

from __future__ import annotations

from typing import Any

from bench.claims import Claim, at_most
from bench.startup.processes import PROGRAM, in_turn, medians, ratio
from bench.startup.room import EXPORTED, USER, opened_room
from bench.startup.settings import Settings

__all__ = ["measure"]

_RATIO = 0.15
_QUERY = "What does Mara like, and where?"


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """``router-memory search`` in processes of their own, over one store, the model exported before."""
    with opened_room(settings) as room:
        commands = {
            runtime: (*PROGRAM, "search", _QUERY, "--user", USER, "--config", str(file))
            for runtime, file in room.configurations.items()
        }
        runs = in_turn(commands, settings.searches)
    torch = runs["torch"]
    claims = [at_most(f"cold search, {name} / torch", ratio(runs[name], torch), _RATIO) for name in EXPORTED]
    claims += [
        Claim(f"cold search, {name} / torch, processor time", ratio(runs[name], torch, processor=True))
        for name in EXPORTED
    ]
    return {runtime: medians(found) for runtime, found in runs.items()}, claims
