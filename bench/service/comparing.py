"""The two servers asked in turn, and what the one is to the other."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Any

from bench.service.room import Room
from bench.service.settings import Settings

__all__ = ["compare"]

_WARMUP_SECONDS = 1.0


async def compare(
    room: Room, settings: Settings, decision: str, reason: str, *, stream: bool, connections: int, new: bool = False
) -> dict[str, Any]:
    """The figures of both servers and their ratios, each the median of the rounds.

    ``processor_ratio`` is what the throughputs would be to each other if each server had a processor for itself: what
    other load on the machine changes least.

    Args:
        decision: That the requests take.
        reason: What memory says of each of them.
        stream: Whether answers are streamed.
        connections: How many clients ask at a time.
        new: Whether no question is asked twice.

    Raises:
        RuntimeError: A request had another end than that.
    """
    ports = {"plain": room.plain, "service": room.service}
    expected = {"plain": "200", "service": f"200 {reason}"}
    measured: dict[str, list[dict[str, Any]]] = {name: [] for name in ports}
    for number in range(-1, settings.rounds):
        for name in ports if number % 2 else reversed(ports):
            seconds = settings.seconds if number >= 0 else _WARMUP_SECONDS
            figures = await room.ask(
                ports[name], decision, stream=stream, new=new, connections=connections, seconds=seconds
            )
            heads = Counter(figures["heads"])
            if set(heads) != {expected[name]} and number >= 0:
                raise RuntimeError(f"{name} answered {dict(heads)}")
            if number >= 0:
                measured[name].append(figures)
    rounds = list(zip(measured["service"], measured["plain"], strict=True))
    return {
        "connections": connections,
        "streamed": stream,
        **{name: _medians(figures) for name, figures in measured.items()},
        "processor_ratio": round(median(plain["processor_ms"] / mine["processor_ms"] for mine, plain in rounds), 4),
        "throughput_ratio": round(median(mine["a_second"] / plain["a_second"] for mine, plain in rounds), 4),
        "first_token_added_ms": _added(rounds, "first_p50_ms"),
        "first_token_added_p10_ms": _added(rounds, "first_p10_ms"),
    }


def _added(rounds: list[tuple[dict[str, Any], dict[str, Any]]], figure: str) -> float:
    return round(float(median(mine[figure] - plain[figure] for mine, plain in rounds)), 4)


def _medians(figures: list[dict[str, Any]]) -> dict[str, float]:
    return {
        name: round(median(figure[name] for figure in figures), 3)
        for name in ("requests", "a_second", "first_p10_ms", "first_p50_ms", "first_p95_ms", "processor_ms")
    }
