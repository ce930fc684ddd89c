"""Memories and questions from a seed: texts of 200 characters with about 18 stems, and unit vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from bench.valkey.settings import DIMENSION
from router_memory.backends.bert.encoder import unit_rows
from router_memory.types import CandidateQuery, Document, MemoryRecord, MemoryWrite, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BETWEEN",
    "CHARACTERS",
    "CLUSTERS",
    "SPREAD",
    "START",
    "Corpus",
    "clustered_vectors",
    "random_vectors",
]

CHARACTERS = 200
"""Length of a text."""

WORDS = 3_000
DRAWN = 23
"""Words drawn for a text by Zipf's law: 18 different ones in the mean."""

STEMS_ASKED = 3
STEM_SHARE, STEM_DOCUMENTS = 0.25, 67
"""Share of the memories that a stem of a question stands in, about, and how many at most: three of them fill a channel
of 50, and together come to the 200 at which the product stops adding stems."""

CLUSTERS = 500
SPREAD = 1.2
"""Length of the noise on a cluster's unit centre: cosines of about 0.4 within a cluster, as MiniLM's are."""

START = datetime(2025, 3, 1, 9, tzinfo=UTC)
BETWEEN = timedelta(minutes=7)


class Corpus:
    """Users with memories. What a user holds follows from the seed and the user's number alone.

    Args:
        seed: Of everything.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng(seed)
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        lengths = rng.integers(4, 9, WORDS)
        self._words = ["".join(rng.choice(letters, length)) for length in lengths]
        weights = 1.0 / np.arange(1, WORDS + 1)
        self._weights = weights / weights.sum()

    def scope(self, user: int) -> Scope:
        """The user's."""
        return Scope(f"user-{self._seed}-{user}")

    def writes(self, user: int, count: int, vectors: NDArray[np.float32] | None = None) -> list[MemoryWrite]:
        """The user's memories.

        Args:
            vectors: float32 of shape (count, DIMENSION), unit rows; random ones by default.
        """
        rng = np.random.default_rng((self._seed, user))
        rows = random_vectors(rng, count) if vectors is None else vectors
        drawn = rng.choice(WORDS, size=(count, DRAWN), p=self._weights)
        scope = self.scope(user)
        return [
            self._write(scope, user, index, [self._words[word] for word in words], rows[index : index + 1])
            for index, words in enumerate(drawn)
        ]

    def query(self, user: int, writes: Sequence[MemoryWrite]) -> CandidateQuery:
        """A question to the user: a random vector, and stems that fill the lexical channel."""
        vector = random_vectors(np.random.default_rng((self._seed, user, 1)), 1)
        return self.queries(user, writes, vector)[0]

    def queries(
        self, user: int, writes: Sequence[MemoryWrite], vectors: NDArray[np.float32], limit: int = 50
    ) -> list[CandidateQuery]:
        """A question to the user for each of the vectors.

        Args:
            limit: Of candidates by each channel.
        """
        rng = np.random.default_rng((self._seed, user, 2))
        frequency = Counter(stem for write in writes for stem in write.document.stems)
        wanted = min(STEM_SHARE * len(writes), STEM_DOCUMENTS)
        likely = sorted(frequency, key=lambda stem: (abs(frequency[stem] - wanted), stem))[: 2 * STEMS_ASKED]
        scope = self.scope(user)
        return [
            CandidateQuery(
                scope=scope,
                vector=vector,
                stems=tuple(str(stem) for stem in rng.choice(sorted(likely), STEMS_ASKED, replace=False)),
                dense_limit=limit,
                lexical_limit=limit,
            )
            for vector in vectors
        ]

    def _write(
        self, scope: Scope, user: int, index: int, words: list[str], vectors: NDArray[np.float32]
    ) -> MemoryWrite:
        content = " ".join(words).ljust(CHARACTERS, ".")[:CHARACTERS]
        moment = START + index * BETWEEN
        record = MemoryRecord(
            id=blake2b(f"{self._seed}/{user}/{index}".encode(), digest_size=16).hexdigest(),
            scope=scope,
            content=content,
            role="assistant" if index % 2 else "user",
            speaker="Oskar" if index % 2 else "Maren",
            conversation_id=f"session-{index // 20}",
            position=index % 20,
            created_at=moment,
            updated_at=moment,
        )
        return MemoryWrite(record, Document(dict(Counter(words)), len(words)), vectors)


def random_vectors(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Unit vectors without any structure, the hardest case for a graph: shape (count, DIMENSION)."""
    return unit_rows(rng.standard_normal((count, DIMENSION), dtype=np.float32))


def clustered_vectors(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Unit vectors around `CLUSTERS` random centres, as embeddings stand: shape (count, DIMENSION)."""
    centres = random_vectors(rng, CLUSTERS)
    chosen = centres[rng.integers(CLUSTERS, size=count)]
    return unit_rows(chosen + SPREAD * random_vectors(rng, count))
