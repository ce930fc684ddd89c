"""Memories and questions from a seed: generated words, and vectors around shared centres.

A text is about 200 characters: 30 words drawn by Zipf's law (Zipf 1949) from 20,000 generated ones, which stand for
their own stems. Vectors are those of `bench.valkey.data.clustered_vectors`: 500 random centres for all users, and each
vector a centre with noise of 1.2 times its length in a random direction; cosines within a cluster are about 0.4, as
MiniLM's are. That noise has no structure of its own, which is harder for a graph than what a model makes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from bench.scale.settings import DIMENSION
from bench.valkey.data import BETWEEN, CLUSTERS, SPREAD, START, random_vectors
from router_memory.backends.bert.encoder import unit_rows
from router_memory.types import CandidateQuery, Document, MemoryRecord, MemoryWrite, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LIMIT", "Corpus", "query"]

WORDS = 20_000
DRAWN = 30
ASKED = 8
"""Words of a question, drawn from a memory's; which of them are looked up is decided as in the product."""
LIMIT = 50
"""Candidates of each channel."""
BLOCK = 10_000
"""Vectors drawn at once: those of a block follow from its number alone."""


class Corpus:
    """Users with memories. What a user holds follows from the seed and the user's number alone.

    Args:
        seed: Of everything.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng(seed)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        self._words = ["".join(rng.choice(letters, length)) for length in rng.integers(3, 9, WORDS)]
        self._reach = np.cumsum(1.0 / np.arange(1, WORDS + 1))
        self._centres = random_vectors(rng, CLUSTERS)

    def scope(self, user: int) -> Scope:
        """The user's."""
        return Scope(f"user-{self._seed}-{user}")

    def vectors(self, user: int, first: int, count: int) -> NDArray[np.float32]:
        """Unit vectors of up to `BLOCK` memories from number `first`, a multiple of it: shape (count, DIMENSION)."""
        return self._drawn(np.random.default_rng((self._seed, user, first, 1)), count)

    def asked(self, user: int, count: int) -> NDArray[np.float32]:
        """Unit vectors of questions to the user, drawn as those of memories are: shape (count, DIMENSION)."""
        return self._drawn(np.random.default_rng((self._seed, user, 0, 2)), count)

    def words(self, user: int, first: int, count: int) -> list[list[str]]:
        """The words of the same memories."""
        rng = np.random.default_rng((self._seed, user, first, 3))
        drawn = np.searchsorted(self._reach, rng.random((count, DRAWN)) * self._reach[-1])
        return [[self._words[word] for word in row] for row in drawn.tolist()]

    def writes(self, user: int, first: int, count: int) -> list[MemoryWrite]:
        """The same memories, ready to be stored."""
        scope, vectors = self.scope(user), self.vectors(user, first, count)
        return [
            self._write(scope, user, first + index, words, vectors[index : index + 1])
            for index, words in enumerate(self.words(user, first, count))
        ]

    def blocks(self, user: int, memories: int) -> Iterator[list[MemoryWrite]]:
        """All of a user's memories, `BLOCK` at a time."""
        for first in range(0, memories, BLOCK):
            yield self.writes(user, first, min(BLOCK, memories - first))

    def matrix(self, user: int, memories: int) -> NDArray[np.float32]:
        """The vectors of all of a user's memories: shape (memories, DIMENSION)."""
        rows = np.empty((memories, DIMENSION), np.float32)
        for first in range(0, memories, BLOCK):
            count = min(BLOCK, memories - first)
            rows[first : first + count] = self.vectors(user, first, count)
        return rows

    def identity(self, user: int, index: int) -> str:
        """Id of a memory."""
        return blake2b(f"{self._seed}/{user}/{index}".encode(), digest_size=16).hexdigest()

    def question(self, user: int, number: int, memories: int) -> tuple[str, ...]:
        """Words of a question: some of those of a memory of the user's."""
        rng = np.random.default_rng((self._seed, user, number, 4))
        block = int(rng.integers((memories + BLOCK - 1) // BLOCK)) * BLOCK
        words = self.words(user, block, int(rng.integers(min(BLOCK, memories - block))) % 50 + 1)[-1]
        return tuple(dict.fromkeys(words[:ASKED]))

    def _drawn(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        noise = random_vectors(rng, count)
        return unit_rows(self._centres[rng.integers(CLUSTERS, size=count)] + SPREAD * noise)

    def _write(
        self, scope: Scope, user: int, index: int, words: list[str], vectors: NDArray[np.float32]
    ) -> MemoryWrite:
        moment = START + index * BETWEEN
        record = MemoryRecord(
            id=self.identity(user, index),
            scope=scope,
            content=" ".join(words),
            role="assistant" if index % 2 else "user",
            speaker="Oskar" if index % 2 else "Maren",
            conversation_id=f"session-{index // 20}",
            position=index % 20,
            created_at=moment,
            updated_at=moment,
        )
        return MemoryWrite(record, Document(dict(Counter(words)), len(words)), vectors)


def query(scope: Scope, vector: NDArray[np.float32], stems: tuple[str, ...]) -> CandidateQuery:
    """A search of both channels."""
    return CandidateQuery(scope=scope, vector=vector, stems=stems, dense_limit=LIMIT, lexical_limit=LIMIT)
