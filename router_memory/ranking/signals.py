"""The signals of the rerank: each gives every candidate a number, a weight says how much it counts.

To add a signal, write a function and put it into `SIGNALS`. Weights and constants were chosen on
development conversations alone; bench/quality shows what each one brings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from router_memory.ranking.evidence import Evidence, Floats, standardised
from router_memory.ranking.lexicon import SPEAKER

__all__ = ["SIGNALS", "Signal"]

NEIGHBOUR_WEIGHTS = ((-1, 0.4), (1, 0.3), (-2, 0.2), (2, 0.1))
"""What a neighbour at this distance adds of its own relevance: an answer stands next to its question."""

SELF_CONTAINED_TERMS = 20.0
"""Length in terms from which a memory neither needs nor lends context in full."""

_TEMPORAL = re.compile(
    r"\b(?:yesterday|today|tonight|tomorrow|last|next|ago|recently|weekend|since"
    r"|(?:this|past|few|two|three|four|five|six|couple\s+of)\s+"
    r"(?:morning|week|month|year|summer|winter|spring|fall|autumn|days?|weeks|months|years)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|january|february|march|april|june|july|august|september|october|november|december|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)


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
    return standardised(evidence.dense)


def lexical(evidence: Evidence) -> Floats:
    """It holds the question's words, rare ones first."""
    return standardised(evidence.bm25)


def neighbours(evidence: Evidence) -> Floats:
    """The messages around it are relevant; only those that are candidates can be, so nothing more is fetched."""
    independence = np.minimum(1.0, SELF_CONTAINED_TERMS / np.maximum(evidence.length, 1.0))
    lent = np.maximum(dense(evidence) + lexical(evidence), 0.0) * independence
    total = np.zeros(len(lent))
    for offset, weight in NEIGHBOUR_WEIGHTS:
        here, there = evidence.neighbours(offset)
        total[here] += weight * lent[there]
    return independence * total


def speaker(evidence: Evidence) -> Floats:
    """It was said by somebody the question names."""
    terms = {SPEAKER + name for name in evidence.names}
    return np.array([float(not terms.isdisjoint(c.document.stems)) for c in evidence.candidates], dtype=np.float64)


def date(evidence: Evidence) -> Floats:
    """It was said in the month and year the question names."""
    dates = evidence.question.dates
    if dates is None:
        return np.zeros(len(evidence.candidates))
    moments = (candidate.record.created_at for candidate in evidence.candidates)
    return np.array(
        [
            float((not dates.months or at.month in dates.months) and (not dates.years or at.year in dates.years))
            for at in moments
        ]
    )


def when(evidence: Evidence) -> Floats:
    """The question asks for a time and the memory tells one."""
    if not evidence.question.asks_when:
        return np.zeros(len(evidence.candidates))
    return np.array([float(_TEMPORAL.search(c.record.content) is not None) for c in evidence.candidates])


def brevity(evidence: Evidence) -> Floats:
    """It is not one of many parts: a long text touches every topic."""
    return -evidence.log_parts


SIGNALS = (
    Signal("dense", 1.0, dense),
    Signal("lexical", 1.0, lexical),
    Signal("neighbours", 1.0, neighbours),
    Signal("speaker", 3.0, speaker),
    Signal("date", 1.5, date),
    Signal("when", 1.0, when),
    Signal("brevity", 1.0, brevity),
)
"""The signals of `hybrid_mode: rerank`."""
