"""Vectors without a model: an embedder that answers from a table, and clustered random vectors to fill it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.stages.corpus import Corpus
from router_memory.errors import EmbeddingError

__all__ = ["DIMENSION", "Precomputed", "clustered"]

DIMENSION = 384

NOISE = 1.2
"""Length of the noise on a cluster's unit centre: cosines of about 0.4 within a cluster, as MiniLM's are."""


class Precomputed:
    """An `Embedder` that looks its vectors up.

    Args:
        vectors: Text -> unit vector, float32 of shape (dimension,).
        dimension, fingerprint, runtime: As of the embedder that made them.
    """

    def __init__(
        self, vectors: Mapping[str, NDArray[np.float32]], *, dimension: int, fingerprint: str, runtime: str
    ) -> None:
        self._vectors = vectors
        self.dimension = dimension
        self.fingerprint = fingerprint
        self.runtime = runtime

    async def identify(self) -> None:
        """Known from the start."""

    async def open(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to free."""

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a known text."""
        return self._vector(text)

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One row for each known text."""
        return [self._vector(text)[None, :] for text in texts]

    def backlog_seconds(self, text: str = "") -> float:
        """Never busy."""
        del text
        return 0.0

    def _vector(self, text: str) -> NDArray[np.float32]:
        try:
            return self._vectors[text]
        except KeyError:
            raise EmbeddingError("a text without a precomputed vector was asked for") from None


def clustered(corpus: Corpus, *, seed: int) -> dict[str, NDArray[np.float32]]:
    """A vector for each message and question: the centre of its topic's cluster with noise."""
    rng = np.random.default_rng(seed)
    topics = [(turn.content, session.topic) for session in corpus.sessions for turn in session.turns]
    topics += [(question.text, question.topic) for question in corpus.questions]
    centres = _unit(rng.standard_normal((len(corpus.sessions), DIMENSION)))
    noise = _unit(rng.standard_normal((len(topics), DIMENSION)))
    vectors = _unit(centres[[topic for _, topic in topics]] + NOISE * noise).astype(np.float32)
    return {text: vector for (text, _), vector in zip(topics, vectors, strict=True)}


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
