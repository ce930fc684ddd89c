"""The orders candidates can be put in, one for each `RankingMode`.

An order is a list of named contributions whose sum is the score. Scores order; they are never
compared with a threshold, for that there is `calibration`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from router_memory.ranking.evidence import Evidence, Floats
from router_memory.ranking.signals import SIGNALS, Signal
from router_memory.types import RankingMode

__all__ = ["NGRAM_CHARS", "ORDERS", "Contributions", "Order", "by_rerank"]

Contributions = Mapping[str, Floats]
"""Signal name -> what it adds to each candidate's score. Shape (n,) each."""

Order = Callable[[Evidence], Contributions]
"""Puts candidates in an order."""

Grams = NDArray[np.uint64]

RRF_K = 60.0
"""Rank constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""

NGRAM_CHARS = 2000
"""Character 3-grams are taken from this much of a text."""

WEIGHTED = {"vector": 0.7, "bm25": 0.2, "ngram": 0.1}
"""The reference's weights."""


def by_cosine(evidence: Evidence) -> Contributions:
    """By cosine less the penalty for many parts."""
    return {"dense": evidence.dense}


def by_rerank(evidence: Evidence, signals: Sequence[Signal] = SIGNALS) -> Contributions:
    """By the weighted sum of all signals."""
    return {signal.name: signal.weight * signal.values(evidence) for signal in signals}


def by_weights(evidence: Evidence) -> Contributions:
    """By 0.7 vector similarity, 0.2 min-max BM25 and 0.1 Jaccard similarity of character 3-grams."""
    lowest, highest = (float(f(evidence.bm25)) for f in (np.min, np.max))
    spread = highest - lowest
    question = _trigrams(evidence.retrieval.text)
    ngrams = [_jaccard(question, _trigrams(record.content)) for record in evidence.retrieval.records]
    return {
        "vector": WEIGHTED["vector"] * (1.0 + evidence.cosine) / 2.0,
        "bm25": WEIGHTED["bm25"] * ((evidence.bm25 - lowest) / spread if spread > 0 else np.zeros_like(evidence.bm25)),
        "ngram": WEIGHTED["ngram"] * np.array(ngrams, dtype=np.float64),
    }


def by_reciprocal_rank(evidence: Evidence) -> Contributions:
    """By the sum of 1 / (60 + rank) over the dense and the BM25 order; a memory without a match has no BM25 rank."""
    return {
        "dense": _reciprocal_ranks(evidence.dense),
        "bm25": np.where(evidence.bm25 > 0, _reciprocal_ranks(evidence.bm25), 0.0),
    }


ORDERS: Mapping[RankingMode, Order] = {
    RankingMode.DENSE: by_cosine,
    RankingMode.RERANK: by_rerank,
    RankingMode.WEIGHTED: by_weights,
    RankingMode.RRF: by_reciprocal_rank,
}


def _reciprocal_ranks(values: Floats) -> Floats:
    ranks = np.empty(len(values))
    ranks[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    inverse: Floats = 1.0 / (RRF_K + ranks)
    return inverse


def _trigrams(text: str) -> Grams:
    """The different 3-grams, each as one number, ascending; of a text of one or two characters the text itself."""
    folded = " ".join(text[:NGRAM_CHARS].casefold().split())
    points = np.frombuffer(folded.ljust(3, "\0").encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    return np.unique(points[:-2] << np.uint64(42) | points[1:-1] << np.uint64(21) | points[2:])


def _jaccard(one: Grams, other: Grams) -> float:
    """Of the question's, which are few, and a memory's."""
    places = np.minimum(np.searchsorted(other, one), len(other) - 1)
    shared = int(np.count_nonzero(other[places] == one))
    return shared / (len(one) + len(other) - shared)
