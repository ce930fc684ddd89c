"""Each product as it is shipped, with the embedding it brings."""

from __future__ import annotations

from typing import Any

from bench.claims import Claim
from bench.peers.comparing import compare
from bench.peers.products import SHIPPED
from bench.peers.settings import Settings

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """See `bench.peers.comparing.compare`."""
    return compare(settings, SHIPPED, targets=True)
