"""Things timed in turn, so that noise of the machine falls on all alike."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Seconds", "Work", "figures", "in_turn", "processor_ms", "ratio", "settle_garbage"]

Seconds = NDArray[np.float64]
Work = Callable[[int], Awaitable[object]]


async def in_turn(
    works: Mapping[str, Work], rounds: int, *, warmup: int = 0, streak: int = 1, pause: float = 0.0
) -> dict[str, Seconds]:
    """The seconds each work took each time.

    Their order is drawn anew for each turn: none comes always behind the same other one, which may leave much or
    little of what it needs in the processor's caches.

    Args:
        works: Each is given a number that rises.
        rounds: How often each is counted.
        warmup: How often each runs before.
        streak: How often in one turn: more than once where one work leaves the processor's caches to the next in a
            state that its own would not.
        pause: Seconds behind each turn, for what a work leaves to be done in the background: within a turn that falls
            on its own next round, and it is done before the next work begins.
    """
    settle_garbage()
    names, drawn = list(works), random.Random(len(works))
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for first in range(-warmup, rounds, streak):
        drawn.shuffle(names)
        for name in names:
            for number in range(first, min(first + streak, rounds)):
                began = perf_counter()
                await works[name](number)
                took = perf_counter() - began
                if number >= 0:
                    seconds[name].append(took)
            if pause:
                await asyncio.sleep(pause)
    return {name: np.array(taken) for name, taken in seconds.items()}


async def processor_ms(works: Mapping[str, Work], pid: int, *, blocks: int, calls: int) -> dict[str, dict[str, float]]:
    """Milliseconds of processor time that a call takes here and in the server, which other load changes little.

    Args:
        works: As of `in_turn`.
        pid: Of the server.
        blocks: How often each work's time is taken; the median counts.
        calls: In each block.
    """
    settle_garbage()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for block in range(blocks):
        for name, work in works.items():
            client, server = process_time(), _server_seconds(pid)
            for number in range(calls):
                await work(block * calls + number)
            taken[name].append((process_time() - client, _server_seconds(pid) - server))
    return {
        name: {
            "client": round(float(np.median([client for client, _ in pairs])) / calls * 1e3, 4),
            "server": round(float(np.median([server for _, server in pairs])) / calls * 1e3, 4),
        }
        for name, pairs in taken.items()
    }


def _server_seconds(pid: int) -> float:
    """Processor time of all threads of a process; 0 where the system does not say."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def settle_garbage() -> None:
    """Collects, and takes what is left out of later collections: in a server it would be old by now."""
    gc.collect()
    gc.freeze()


def figures(seconds: Seconds) -> dict[str, Any]:
    """Rounds, median and 95th percentile."""
    return {
        "rounds": len(seconds),
        "p50_ms": round(float(np.median(seconds)) * 1e3, 4),
        "p95_ms": round(float(np.percentile(seconds, 95)) * 1e3, 4),
    }


def ratio(over: Seconds, under: Seconds, percentile: float = 50) -> float:
    """Of the two percentiles."""
    return round(float(np.percentile(over, percentile) / np.percentile(under, percentile)), 4)
