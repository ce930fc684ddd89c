"""Stand-ins for the slow or unreliable parts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from router_memory.errors import EmbeddingError
from router_memory.ranking.lexicon import stem_of, words

__all__ = ["HashingEmbedder"]


class HashingEmbedder:
    """An embedder without a model: signed feature hashing of stems, so texts that share words are near.

    Attributes:
        gate: While cleared, calls wait: a slow model.
        asked: Set once a query has come.
        failing: While true, every call raises: a broken model.
        backlog: What `backlog_seconds` says.
    """

    dimension = 64
    fingerprint = "hashing/64/test"
    runtime = "torch"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()
        self.failing = False
        self.backlog = 0.0
        self.queries: list[str] = []
        self.passages: list[str] = []

    async def identify(self) -> None:
        """Known from the start."""

    async def open(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """One vector."""
        self.queries.append(text)
        self.asked.set()
        await self.gate.wait()
        return self._vector(text)

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One row for each text."""
        self.passages.extend(texts)
        await self.gate.wait()
        return [self._vector(text)[None, :] for text in texts]

    def backlog_seconds(self, text: str = "") -> float:
        """As set."""
        del text
        return self.backlog

    def _vector(self, text: str) -> NDArray[np.float32]:
        if self.failing:
            raise EmbeddingError("the model is broken")
        vector = np.zeros(self.dimension, dtype=np.float32)
        for word in words(text):
            digest = blake2b((stem_of(word.surface) or word.surface).encode(), digest_size=8).digest()
            vector[digest[0] % self.dimension] += 1.0 if digest[1] % 2 else -1.0
        if not vector.any():
            vector[0] = 1.0
        unit: NDArray[np.float32] = vector / np.linalg.norm(vector)
        return unit
