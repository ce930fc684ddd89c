"""Figures in microseconds, and one work behind another."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.valkey.timing import Seconds, Work

__all__ = ["in_order", "microseconds", "p50", "p95"]


def p50(seconds: Seconds) -> float:
    """The median in microseconds."""
    return round(float(np.median(seconds)) * 1e6, 2)


def p95(seconds: Seconds) -> float:
    """The 95th percentile in microseconds."""
    return round(float(np.percentile(seconds, 95)) * 1e6, 2)


def microseconds(seconds: Seconds) -> dict[str, Any]:
    """Rounds, median and 95th percentile."""
    return {"rounds": len(seconds), "p50_us": p50(seconds), "p95_us": p95(seconds)}


def in_order(first: Work, second: Work) -> Work:
    """One work and then the other, as one."""

    async def both(number: int) -> None:
        await first(number)
        await second(number)

    return both
