"""Every product is told who speaks, at the first size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.claims import Claim
from bench.peers.comparing import compare
from bench.peers.products import TOLD
from bench.peers.settings import Settings

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """R@10 where nobody lacks the names; times are those of longer texts."""
    return compare(replace(settings, sizes=settings.sizes[:1]), TOLD, targets=False)
