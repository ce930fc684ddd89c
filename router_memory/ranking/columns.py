"""From candidates to what ranking looks at: numbers and truths about each, for one question. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from router_memory.ranking.lexicon import SPEAKER, stem_of
from router_memory.types import Candidate, CandidateSet, Columns, LexicalStatistics, Retrieval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from router_memory.ranking.query import Dates, Question

__all__ = ["retrieval_of"]

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


def retrieval_of(
    question: Question, names: frozenset[str], statistics: LexicalStatistics, found: CandidateSet
) -> Retrieval:
    """The candidates with everything that ranking needs of them and of the question, and nothing else.

    Args:
        question: What was asked.
        names: Its words that are part of a speaker's name, see `Question.names`.
        statistics: The user's own.
        found: The candidates.
    """
    stems = question.stems(names)
    frequency = {stem: statistics.frequency[stem] for stem in stems if stem in statistics.frequency}
    return Retrieval(
        epoch=statistics.epoch,
        text=question.text,
        query_text=question.without(names),
        names=names,
        stems=stems,
        statistics=LexicalStatistics(statistics.epoch, statistics.documents, statistics.length_sum, frequency),
        columns=_columns(question, names, stems, found.candidates),
        records=tuple(candidate.record for candidate in found.candidates),
        exact=found.exact,
        partial=found.partial,
        coherent=found.epoch == statistics.epoch and not found.partial,
    )


def _columns(
    question: Question, names: frozenset[str], stems: tuple[str, ...], candidates: Sequence[Candidate]
) -> Columns:
    none = np.zeros(len(candidates), dtype=np.bool_)
    documents = [candidate.document.stems for candidate in candidates]
    held = [[document.get(stem, 0) for document in documents] for stem in stems]
    return Columns(
        cosine=np.nan_to_num(np.array([candidate.cosine for candidate in candidates], dtype=np.float64)),
        parts=np.array([max(candidate.parts, 1) for candidate in candidates], dtype=np.int32),
        length=np.array([candidate.document.length for candidate in candidates], dtype=np.int32),
        frequency=np.array(held, dtype=np.int32).reshape(len(stems), len(candidates)).T,
        conversation=_conversations(candidates),
        position=np.array([candidate.record.position for candidate in candidates], dtype=np.int64),
        spoken=_spoken(names, candidates) if names else none,
        dated=_dated(question.dates, candidates) if question.dates is not None else none,
        timed=np.array(list(map(_tells_a_time, candidates)), dtype=np.bool_) if question.asks_when else none,
    )


def _conversations(candidates: Sequence[Candidate]) -> NDArray[np.int32]:
    numbers: dict[str, int] = {}
    ids = [candidate.record.conversation_id for candidate in candidates]
    return np.array([-1 if id is None else numbers.setdefault(id, len(numbers)) for id in ids], dtype=np.int32)  # noqa: A001


def _spoken(names: frozenset[str], candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    terms = {SPEAKER + name for name in names}
    return np.array([not terms.isdisjoint(candidate.document.stems) for candidate in candidates], dtype=np.bool_)


def _dated(dates: Dates, candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    moments = (candidate.record.created_at for candidate in candidates)
    fits = [
        (not dates.months or at.month in dates.months) and (not dates.years or at.year in dates.years) for at in moments
    ]
    return np.array(fits, dtype=np.bool_)


def _tells_a_time(candidate: Candidate) -> bool:
    stems, text = candidate.document.stems, candidate.record.content[:TOLD_CHARS]
    # "May" is a stop word to the stems, for it is mostly the verb
    if _TEMPORAL_STEMS.isdisjoint(stems) and "May" not in text and not any(map(_YEAR.match, stems)):
        return False
    return _TEMPORAL.search(text) is not None
