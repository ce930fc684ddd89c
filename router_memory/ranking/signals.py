"""The signals of the rerank: each gives every candidate a number, a weight says how much it counts.

To add a signal, write a function and put it into `SIGNALS`. Weights and constants were chosen on
development conversations alone; bench/quality shows what each one brings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from router_memory.ranking.evidence import Evidence, Floats

__all__ = ["SIGNALS", "Signal"]

NEIGHBOUR_WEIGHTS = ((-1, 0.4), (1, 0.3), (-2, 0.2), (2, 0.1))
"""What a neighbour at this distance adds of its own relevance: an answer stands next to its question."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One kind of evidence.

    Attributes:
        name: As it stands in `Hit.signals`.
        weight: Its share of the score.
        values: Gives every candidate a number. Shape (n,).
    """

    name: str
    weight: float
    values: Callable[[Evidence], Floats]


def dense(evidence: Evidence) -> Floats:
    """The meaning of the memory is near the question's."""
    return evidence.dense_z


def lexical(evidence: Evidence) -> Floats:
    """It holds the question's words, rare ones first."""
    return evidence.bm25_z


def neighbours(evidence: Evidence) -> Floats:
    """The messages around it are relevant; only those that are candidates can be, so nothing more is fetched."""
    lent = _relevance(evidence) * evidence.context_weight
    total = np.zeros(len(lent))
    for offset, weight in NEIGHBOUR_WEIGHTS:
        here, there = evidence.neighbours(offset)
        total[here] += weight * lent[there]
    return evidence.context_weight * total


def reply(evidence: Evidence) -> Floats:
    """It answers what somebody else has just asked, and that question is relevant."""
    here, there = evidence.replies
    total = np.zeros(len(evidence))
    total[here] = (_relevance(evidence) * evidence.context_weight)[there]
    return evidence.context_weight * total


def speaker(evidence: Evidence) -> Floats:
    """It was said by somebody the question names."""
    return evidence.columns.spoken.astype(np.float64)


def date(evidence: Evidence) -> Floats:
    """It was said in the month and year the question names, or on the very day, which counts twice."""
    return evidence.columns.dated.astype(np.float64)


def when(evidence: Evidence) -> Floats:
    """The question asks for a time and the memory tells one, as far as its first characters say."""
    return evidence.columns.timed.astype(np.float64)


def role(evidence: Evidence) -> Floats:
    """The assistant did not say it: what is worth remembering of a chat is mostly the user's."""
    return -evidence.columns.assistant.astype(np.float64)


def brevity(evidence: Evidence) -> Floats:
    """It is not one of many parts: a long text touches every topic."""
    return -evidence.log_parts


def _relevance(evidence: Evidence) -> Floats:
    """Dense and lexical together as far as they speak for a memory, ≥ 0. Shape (n,)."""
    return np.maximum(evidence.dense_z + evidence.bm25_z, 0.0)


SIGNALS = (
    Signal("dense", 1.0, dense),
    Signal("lexical", 1.0, lexical),
    Signal("neighbours", 1.0, neighbours),
    Signal("reply", 0.5, reply),
    Signal("speaker", 3.0, speaker),
    Signal("date", 2.0, date),
    Signal("when", 1.0, when),
    Signal("role", 0.8, role),
    Signal("brevity", 1.0, brevity),
)
"""The signals of `hybrid_mode: rerank`."""
