"""Figures in microseconds, and a comparison in blocks with a pause behind each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np

from bench.valkey.timing import Seconds, Work, settle_garbage

__all__ = ["in_blocks", "in_order", "microseconds", "p50", "p95"]

_PAUSE_SECONDS = 0.02


def p50(seconds: Seconds) -> float:
    """The median in microseconds."""
    return round(float(np.median(seconds)) * 1e6, 2)


def p95(seconds: Seconds) -> float:
    """The 95th percentile in microseconds."""
    return round(float(np.percentile(seconds, 95)) * 1e6, 2)


def microseconds(seconds: Seconds) -> dict[str, Any]:
    """Rounds, median and 95th percentile."""
    return {"rounds": len(seconds), "p50_us": p50(seconds), "p95_us": p95(seconds)}


async def in_blocks(works: Mapping[str, Work], rounds: int, *, warmup: int, block: int) -> dict[str, Seconds]:
    """The seconds each work took each time, in blocks taken in turn; who begins changes from turn to turn.

    What a work leaves to be done in the background falls on its own next round; what is left behind a block is done
    before the next one begins.

    Args:
        works: Each is given a number that rises.
        rounds: How often each is counted.
        warmup: How often each runs before.
        block: Rounds in a block.
    """
    settle_garbage()
    names = list(works)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for first in range(-warmup, rounds, block):
        start = first // block % len(names)
        for name in names[start:] + names[:start]:
            for number in range(first, min(first + block, rounds)):
                began = perf_counter()
                await works[name](number)
                if number >= 0:
                    seconds[name].append(perf_counter() - began)
            await asyncio.sleep(_PAUSE_SECONDS)
    return {name: np.array(taken) for name, taken in seconds.items()}


def in_order(first: Work, second: Work) -> Work:
    """One work and then the other, as one."""

    async def both(number: int) -> None:
        await first(number)
        await second(number)

    return both
