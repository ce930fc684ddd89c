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

SELF_CONTAINED_TERMS = 25.0
"""Length in terms from which a memory neither needs nor lends context in full."""

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
        if not self.stems:
            return np.zeros(len(self))
        frequency, norm = self.term_frequency, K1 * (1.0 - B + B * self.length / self._mean_length)
        weighted: Floats = (frequency * (K1 + 1.0) / (frequency + norm[:, None])) @ self.idf
        return weighted

    @cached_property
    def dense_z(self) -> Floats:
        """`dense`, standardised. Shape (n,)."""
        return standardised(self.dense)

    @cached_property
    def bm25_z(self) -> Floats:
        """`bm25`, standardised. Shape (n,)."""
        return standardised(self.bm25)

    @cached_property
    def term_presence(self) -> Floats:
        """1 where a stem stands in a memory, else 0. Shape (n, m)."""
        return (self.columns.frequency > 0).astype(np.float64)

    @cached_property
    def coverage(self) -> Floats:
        """Share of the question's information, its stems' idf summed, that each memory holds, in [0, 1]. Shape (n,)."""
        return self.share(self.term_presence)

    @cached_property
    def context_weight(self) -> Floats:
        """How much of what a memory means lies around it, in (0, 1]: a long one stands alone. Shape (n,)."""
        weight: Floats = np.minimum(1.0, SELF_CONTAINED_TERMS / np.maximum(self.length, 1.0)) ** 2
        return weight

    @cached_property
    def replies(self) -> tuple[Indices, Indices]:
        """Pairs (i, j) of candidates where i follows j, which ends in a question of somebody else."""
        here, there = self.neighbours(-1)
        columns = self.columns
        answers = columns.asking[there] & (columns.speaker[here] != columns.speaker[there])
        return here[answers], there[answers]

    def share(self, present: Floats) -> Floats:
        """Share of the question's information in what is held of each stem, shape (n, m), in [0, 1]. Shape (n,)."""
        total = float(self.idf.sum())
        share: Floats = present @ self.idf / total if total > 0.0 else np.zeros(len(self))
        return share

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
