"""The evidence on each candidate as arrays: cosines, BM25, coverage, conversation neighbours.

Everything here has one entry for each candidate, in the order of the candidate set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from router_memory.types import Columns, LexicalStatistics, Retrieval

__all__ = ["K1", "B", "Evidence", "standardised"]

K1 = 0.9
B = 0.4
"""BM25's saturation and length normalisation (Robertson and Zaragoza 2009), set for short turns."""

PART_PENALTY = 0.08
"""Cosine given up for each e-fold of parts: the best of many parts is high by chance."""

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


def standardised(values: Floats) -> Floats:
    """z-scores over the candidates; all 0 where the values do not differ."""
    if not len(values):
        return values
    centred: Floats = values - values.mean()
    deviation = float(np.sqrt(centred @ centred / len(centred)))
    return centred / deviation if deviation > 1e-9 else np.zeros_like(centred)


@dataclass(frozen=True)
class Evidence:
    """What speaks for each candidate.

    Args:
        retrieval: The candidates, n of them, and the question with m stems.
    """

    retrieval: Retrieval

    def __len__(self) -> int:
        return len(self.retrieval.records)

    @property
    def columns(self) -> Columns:
        """What is known of each candidate."""
        return self.retrieval.columns

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems matched, m of them."""
        return self.retrieval.stems

    @property
    def cosine(self) -> Floats:
        """Cosine to the nearest part of each memory, in [-1, 1]; 0 without a query vector. Shape (n,)."""
        return self.columns.cosine

    @cached_property
    def log_parts(self) -> Floats:
        """Natural logarithm of the number of parts. Shape (n,)."""
        return np.log(self.columns.parts.astype(np.float64))

    @cached_property
    def dense(self) -> Floats:
        """Cosine less the penalty for many parts. Shape (n,)."""
        return self.cosine - PART_PENALTY * self.log_parts

    @cached_property
    def length(self) -> Floats:
        """Length of each memory in terms. Shape (n,)."""
        return self.columns.length.astype(np.float64)

    @cached_property
    def idf(self) -> Floats:
        """ln(1 + (N - df + 0.5) / (df + 0.5)) of each stem on the user's own memories. Shape (m,)."""
        frequency = np.array([self._statistics.frequency.get(stem, 0) for stem in self.stems], dtype=np.float64)
        without = np.maximum(self._statistics.documents - frequency, 0.0)
        idf: Floats = np.log(1.0 + (without + 0.5) / (frequency + 0.5))
        return idf

    @cached_property
    def term_frequency(self) -> Floats:
        """How often each stem stands in each memory. Shape (n, m)."""
        return self.columns.frequency.astype(np.float64)

    @cached_property
    def bm25(self) -> Floats:
        """BM25 of each memory, ≥ 0. Shape (n,)."""
        return self._bm25(self.term_frequency, self.length / self._mean_length)

    @cached_property
    def dense_z(self) -> Floats:
        """`dense`, standardised. Shape (n,)."""
        return standardised(self.dense)

    @cached_property
    def bm25_z(self) -> Floats:
        """`bm25`, standardised. Shape (n,)."""
        return standardised(self.bm25)

    @cached_property
    def coverage(self) -> Floats:
        """BM25 as a share of the most this question can reach, in [0, 1). Shape (n,)."""
        return self.bm25 / self._best_bm25

    @cached_property
    def window_coverage(self) -> Floats:
        """Coverage of each memory together with its neighbours among the candidates. Shape (n,)."""
        frequency, length = self.term_frequency.copy(), self.length.copy()
        for offset in (-1, 1):
            here, there = self.neighbours(offset)
            frequency[here] += self.term_frequency[there]
            length[here] += self.length[there]
        return self._bm25(frequency, length / (3.0 * self._mean_length)) / self._best_bm25

    def neighbours(self, offset: int) -> tuple[Indices, Indices]:
        """Pairs (i, j) of candidates where j stands `offset` messages from i in the same conversation."""
        if offset < 0:
            behind, ahead = self.neighbours(-offset)
            return ahead, behind
        pairs = self._pairs.get(offset)
        if pairs is None:
            places = self._places
            found = [
                (index, places[conversation, position + offset])
                for (conversation, position), index in places.items()
                if (conversation, position + offset) in places
            ]
            both = np.array(found, dtype=np.intp).reshape(len(found), 2)
            pairs = self._pairs[offset] = both[:, 0], both[:, 1]
        return pairs

    @cached_property
    def _pairs(self) -> dict[int, tuple[Indices, Indices]]:
        return {}

    @cached_property
    def _places(self) -> dict[tuple[int, int], int]:
        places: dict[tuple[int, int], int] = {}
        columns = self.columns
        for index, place in enumerate(zip(columns.conversation.tolist(), columns.position.tolist(), strict=True)):
            if place[0] >= 0:
                places.setdefault(place, index)
        return places

    @property
    def _statistics(self) -> LexicalStatistics:
        return self.retrieval.statistics

    @property
    def _mean_length(self) -> float:
        documents = max(self._statistics.documents, 1)
        return max(self._statistics.length_sum / documents, 1e-9)

    @cached_property
    def _best_bm25(self) -> float:
        return max(float(self.idf.sum()) * (K1 + 1.0), 1e-9)

    def _bm25(self, frequency: Floats, relative_length: Floats) -> Floats:
        if not self.stems:
            return np.zeros(len(self))
        norm = K1 * (1.0 - B + B * relative_length)
        weighted: Floats = (frequency * (K1 + 1.0) / (frequency + norm[:, None])) @ self.idf
        return weighted
