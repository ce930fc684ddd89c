"""The signals of the rerank: each gives every candidate a number, a weight says how much it counts.

To add a signal, write a function and put it into `SIGNALS`. Weights and constants were chosen on
development conversations alone; bench/quality shows what each one brings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from router_memory.ranking.evidence import Evidence, Floats
from router_memory.ranking.lexicon import SPEAKER, stem_of
from router_memory.types import Candidate

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
_YEAR = re.compile(r"(?:19|20)\d\d\Z")
_TEMPORAL_STEMS = frozenset(
    stem_of(word)
    for word in (
        "yesterday today tonight tomorrow last next ago recently weekend since past few two three four five six couple "
        "morning week month year summer winter spring fall autumn day monday tuesday wednesday thursday friday "
        "saturday sunday january february march april may june july august september october november december"
    ).split()
) - {""}
"""A memory without any of these and without a year tells no time; looking at stems is far cheaper than at text."""

TOLD_CHARS = 2000
"""How much of a memory is searched for a time."""


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
    independence = np.minimum(1.0, SELF_CONTAINED_TERMS / np.maximum(evidence.length, 1.0))
    lent = np.maximum(evidence.dense_z + evidence.bm25_z, 0.0) * independence
    total = np.zeros(len(lent))
    for offset, weight in NEIGHBOUR_WEIGHTS:
        here, there = evidence.neighbours(offset)
        total[here] += weight * lent[there]
    return independence * total


def speaker(evidence: Evidence) -> Floats:
    """It was said by somebody the question names."""
    if not evidence.names:
        return np.zeros(len(evidence.candidates))
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
    """The question asks for a time and the memory tells one, as far as its first `TOLD_CHARS` characters say."""
    if not evidence.question.asks_when:
        return np.zeros(len(evidence.candidates))
    return np.array([float(_tells_a_time(candidate)) for candidate in evidence.candidates])


def _tells_a_time(candidate: Candidate) -> bool:
    stems, text = candidate.document.stems, candidate.record.content[:TOLD_CHARS]
    # "May" is a stop word to the stems, for it is mostly the verb
    if _TEMPORAL_STEMS.isdisjoint(stems) and "May" not in text and not any(map(_YEAR.match, stems)):
        return False
    return _TEMPORAL.search(text) is not None


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
