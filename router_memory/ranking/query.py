"""What a question asks for: the words to match, the names in it, the dates it mentions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from router_memory.ranking.lexicon import SPEAKER, Word, words
from router_memory.types import LexicalStatistics

__all__ = ["LEXICAL_DOCUMENTS", "Dates", "Question", "rarest", "read"]

LEXICAL_DOCUMENTS = 200
"""Lexical candidates: stems from the rarest on until about this many memories hold one of them."""

MAIN_SPEAKER = 0.2
"""Share of a user's memories from which on whoever said them is a main speaker."""

_MONTH_NAMES = "january february march april may june july august september october november december".split()
_MONTHS: Mapping[str, int] = {
    **{name: number for number, name in enumerate(_MONTH_NAMES, 1)},
    **{name[:3]: number for number, name in enumerate(_MONTH_NAMES, 1)},
    "sept": 9,
}
_YEAR = re.compile(r"(?:19|20)\d\d\Z")
_BEFORE_TIMES = frozenset(
    "in on since during by of from until till before after around early mid late last next this year".split()
)
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?\Z")
_ASKS_WHEN = re.compile(
    r"\bwhen\s+(?:did|do|does|is|was|were|are|will|has|have|had|would)\b"
    r"|\b(?:what|which)\s+(?:\w+\s+)?(?:year|month|day|date|time|week|weekend)\b"
    r"|\bhow\s+long\s+ago\b",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")
_SPACE_BEFORE_STOP = re.compile(r"\s+([?.,!])")


@dataclass(frozen=True, slots=True)
class Dates:
    """Months and years a question names, empty for any; and the days that stand beside a month, empty for none."""

    months: frozenset[int]
    years: frozenset[int]
    days: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """A question read once, before anything is looked up.

    Attributes:
        text: As it was asked.
        words: Its words in order.
        dates: Months and years it names, ``None`` when it names none.
        asks_when: Whether it asks for a point in time.
    """

    text: str
    words: tuple[Word, ...]
    dates: Dates | None
    asks_when: bool

    @property
    def terms(self) -> tuple[str, ...]:
        """Everything whose document frequency is needed: the stems, and each word as a speaker's name."""
        stems = dict.fromkeys(word.stem for word in self.words if word.stem)
        names = dict.fromkeys(SPEAKER + word.surface for word in self.words if word.stem)
        return (*stems, *names)

    def names(self, statistics: LexicalStatistics) -> frozenset[str]:
        """The words that are part of a speaker's name in this user's memories.

        Such a word stands in every greeting, so it says who, not what. A word without a capital is taken for a name
        only where that speaker is one of the main ones: though somebody called Bill wrote once, a bill is a bill.
        """
        main = MAIN_SPEAKER * max(statistics.documents, 1)
        said = {word: statistics.frequency.get(SPEAKER + word.surface, 0) for word in self.words if word.stem}
        return frozenset(word.surface for word, by in said.items() if by and (word.capitalised or by >= main))

    def without(self, names: frozenset[str]) -> str:
        """The text to embed: without the names, or as it was asked when nothing else is left."""
        pieces, end = [], 0
        for word in self.words:
            if word.surface in names:
                pieces.append(self.text[end : word.start])
                end = word.end
        rest = "".join(pieces) + self.text[end:]
        if all(word.surface in names for word in self.words):
            return self.text
        return _SPACE_BEFORE_STOP.sub(r"\1", _SPACE.sub(" ", rest)).strip()

    def stems(self, names: frozenset[str]) -> tuple[str, ...]:
        """The different stems to match, in order, without the names."""
        return tuple(dict.fromkeys(word.stem for word in self.words if word.stem and word.surface not in names))


def read(text: str) -> Question:
    """Reads a question."""
    found = tuple(words(text))
    return Question(text, found, _dates(found), _ASKS_WHEN.search(text) is not None)


def rarest(stems: tuple[str, ...], statistics: LexicalStatistics, enough: int = LEXICAL_DOCUMENTS) -> tuple[str, ...]:
    """The stems to look candidates up by: from the rarest on until `enough` memories hold one of them.

    Memories are counted once for each stem they hold, so the sum is an upper bound of the union.
    """
    chosen: list[str] = []
    documents = 0
    for frequency, stem in sorted((statistics.frequency.get(stem, 0), stem) for stem in stems):
        if frequency == 0:
            continue
        if documents >= enough:
            break
        chosen.append(stem)
        documents += frequency
    return tuple(chosen)


def _dates(found: tuple[Word, ...]) -> Dates | None:
    """Only what stands where a time stands: May, April and 2000 are words, names and numbers too."""
    at = [place for place, word in enumerate(found) if word.capitalised and word.surface in _MONTHS]
    days = {place: frozenset(_days(found, place)) for place in at}
    at = [place for place in at if days[place] or _is_time(found, place)]
    years = {
        int(word.surface)
        for place, word in enumerate(found)
        if _YEAR.match(word.surface) and (_is_time(found, place) or not {place - 1, place - 2}.isdisjoint(at))
    }
    months = frozenset(_MONTHS[found[place].surface] for place in at)
    named = frozenset(day for place in at for day in days[place])
    return Dates(months, frozenset(years), named) if months or years else None


def _is_time(found: tuple[Word, ...], place: int) -> bool:
    """Whether what stands before it, or a year behind it, makes a word a time."""
    before = found[place - 1].surface if place else ""
    behind = found[place + 1].surface if place + 1 < len(found) else ""
    return before in _BEFORE_TIMES or (found[place].surface in _MONTHS and _YEAR.match(behind) is not None)


def _days(found: tuple[Word, ...], month: int) -> Iterator[int]:
    """The days beside the month at a place: ``May 7``, ``7 May``, ``the 7th of May``."""
    near = [month - 1, month + 1]
    if month >= 2 and found[month - 1].surface == "of":
        near.append(month - 2)
    for place in near:
        day = _DAY.match(found[place].surface) if 0 <= place < len(found) else None
        if day is not None and 1 <= int(day[1]) <= 31:
            yield int(day[1])
