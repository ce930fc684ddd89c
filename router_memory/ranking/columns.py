"""From candidates to what ranking looks at: numbers and truths about each, for one question. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from router_memory.ranking.lexicon import SPEAKER, stem_of
from router_memory.types import Candidate, CandidateSet, Columns, LexicalStatistics, Retrieval

if TYPE_CHECKING:
    from datetime import datetime

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

_ASKS = re.compile(r"[?？؟][\"'”’)\]]*(?:\s+\S+){0,4}\s*\Z")
"""A question mark with at most four words behind it, such as thanks."""

ASKED_CHARS = 80
"""How much of a memory's end is searched for a question."""

_TIMES = frozenset(
    (
        "yesterday today tonight tomorrow last next ago recently weekend since monday tuesday wednesday thursday "
        "friday saturday sunday january february march april june july august september october november december"
    ).split()
)
_MANY = frozenset("this past few two three four five six couple".split())
_UNITS = frozenset("morning week month year summer winter spring fall autumn day days weeks months years".split())
"""What the pattern finds: a word of `_TIMES`, a year, or one of `_MANY` before one of `_UNITS`."""
_WORDS = re.compile(r"\w+")

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
    records = [candidate.record for candidate in candidates]
    documents = [candidate.document for candidate in candidates]
    frequencies = [document.stems for document in documents]
    held = [[frequency.get(stem, 0) for frequency in frequencies] for stem in stems]
    return Columns(
        cosine=_in_range(np.array([candidate.cosine for candidate in candidates], dtype=np.float64)),
        parts=np.array([max(candidate.parts, 1) for candidate in candidates], dtype=np.int32),
        length=np.array([document.length for document in documents], dtype=np.int32),
        frequency=np.array(held, dtype=np.int32).reshape(len(stems), len(candidates)).T,
        conversation=_numbered([record.conversation_id for record in records]),
        position=np.array([record.position for record in records], dtype=np.int64),
        speaker=_numbered([record.speaker for record in records]),
        assistant=np.array([record.role == "assistant" for record in records], dtype=np.bool_),
        asking=np.array([_asks(record.content) for record in records], dtype=np.bool_),
        spoken=_spoken(names, candidates) if names else none,
        dated=_dated(question.dates, candidates) if question.dates is not None else none.astype(np.int8),
        timed=np.array(list(map(_tells_a_time, candidates)), dtype=np.bool_) if question.asks_when else none,
    )


def _in_range(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same array, clipped to [-1, 1], and 0 where there is no cosine."""
    cosines[np.isnan(cosines)] = 0.0
    return cosines.clip(-1.0, 1.0, out=cosines)


def _numbered(names: Sequence[str | None]) -> NDArray[np.int32]:
    """A number for each different name in the order they come, -1 for none."""
    different = [name for name in dict.fromkeys(names) if name is not None]
    numbers: dict[str | None, int] = {None: -1, **{name: number for number, name in enumerate(different)}}
    return np.array([numbers[name] for name in names], dtype=np.int32)


def _asks(content: str) -> bool:
    """Whether a question stands at the end, maybe before a word of thanks."""
    end = content[-ASKED_CHARS:]
    return ("?" in end or "？" in end or "؟" in end) and _ASKS.search(end) is not None


def _spoken(names: frozenset[str], candidates: Sequence[Candidate]) -> NDArray[np.bool_]:
    terms = {SPEAKER + name for name in names}
    return np.array([not terms.isdisjoint(candidate.document.stems) for candidate in candidates], dtype=np.bool_)


def _dated(dates: Dates, candidates: Sequence[Candidate]) -> NDArray[np.int8]:
    return np.array([_fit(dates, candidate.record.created_at) for candidate in candidates], dtype=np.int8)


def _fit(dates: Dates, at: datetime) -> int:
    if (dates.months and at.month not in dates.months) or (dates.years and at.year not in dates.years):
        return 0
    return 2 if at.day in dates.days else 1


def _tells_a_time(candidate: Candidate) -> bool:
    stems, text = candidate.document.stems, candidate.record.content[:TOLD_CHARS]
    if _TEMPORAL_STEMS.isdisjoint(stems) and not any(map(_YEAR.match, stems)):
        return False
    words = set(
        _WORDS.findall(text.lower())
    )  # the stems are of all of it, and the pattern is slow where it finds nothing
    if not _TIMES.isdisjoint(words) or any(map(_YEAR.match, words)):
        return True
    return not _MANY.isdisjoint(words) and not _UNITS.isdisjoint(words) and _TEMPORAL.search(text) is not None
