"""Large users whose vectors are embeddings of real texts: neither without structure nor drawn around centres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.claims import Claim
from bench.valkey.large import through_the_store
from bench.valkey.settings import Settings
from router_memory.backends.bert import BertEmbedder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["measure", "unfit"]

_AT_ONCE = 512


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Recall and time with the lines of a file: each user has some of them, the largest as many as there are.

    Questions are further lines. What is searched for by words is generated, as in the other parts.
    """
    rows = await _embedded(_lines(Path(settings.texts)))
    room = len(rows) - settings.large_queries

    def drawn(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        return np.ascontiguousarray(rows[rng.permutation(len(rows))[:count]])

    settings = replace(settings, largest_size=min(settings.largest_size, room))
    document, claims = await through_the_store("embedded texts", drawn, settings)
    return {"texts": len(rows), "store": document}, claims


def unfit(settings: Settings) -> str:
    """Why the file cannot be used; empty when it can. Users are to differ from each other, and from the largest."""
    least = 2 * settings.large_size + settings.large_queries
    try:
        found = len(_lines(Path(settings.texts)))
    except (OSError, UnicodeDecodeError) as error:
        return f"{settings.texts} cannot be read: {error}"
    return "" if found >= least else f"{settings.texts} has {found:,} different texts; at least {least:,} are needed"


def _lines(path: Path) -> Sequence[str]:
    """The different texts of a file, in its order."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, path.read_text("utf-8").splitlines()))))


async def _embedded(texts: Sequence[str]) -> NDArray[np.float32]:
    """The first vector of each: float32 of shape (len(texts), DIMENSION), unit rows."""
    embedder = BertEmbedder()
    await embedder.open()
    rows: list[NDArray[np.float32]] = []
    try:
        for start in range(0, len(texts), _AT_ONCE):
            rows += [found[0] for found in await embedder.embed_passages(texts[start : start + _AT_ONCE])]
    finally:
        await embedder.close()
    return np.stack(rows)
