"""Each product with our embedder, to tell what is the embedding's and what is the product's; without targets."""

from __future__ import annotations

from typing import Any

from bench.claims import Claim
from bench.peers.comparing import compare
from bench.peers.products import RUNTIME
from bench.peers.settings import Settings

__all__ = ["measure"]


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """See `bench.peers.comparing.compare`."""
    return compare(settings, RUNTIME, targets=False)
