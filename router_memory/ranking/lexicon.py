"""From text to terms: one tokenisation for memories and queries, in every backend.

A document is indexed under the stems of its words and, with the mark `SPEAKER`, under the words of
its speaker's name, so that a store's document frequencies also tell who speaks in a user's memories.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass

import Stemmer

from router_memory.types import Document

__all__ = ["SPEAKER", "Word", "document", "speaker_terms", "stem_of", "words"]

SPEAKER = "@"
"""Mark of a speaker term; no stem begins with it."""

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ROLES = frozenset({"user", "assistant", "system", "tool", "developer", "human", "ai", "bot"})

_PRONOUNS = (
    "i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers "
    "herself it its itself they them their theirs themselves this that these those who whom whose which what"
)
_FUNCTION_WORDS = (
    "a an the and but or nor so than as at by for from in into of off on onto out over to under until up with about "
    "above below after before again against between during through down while because if then there here when where "
    "why how both each few more most other some such any all only own same too very just also not no now once further"
)
_AUXILIARIES = (
    "am is are was were be been being have has had having do does did doing can could may might must shall should "
    "will would let ought get got"
)
_CONTRACTED = (
    "i'm i'd i'll i've you're you'd you'll you've he'd he'll she'd she'll we're we'd we'll we've they're they'd "
    "they'll they've it'd it'll that'd that'll who'd who'll aren't isn't wasn't weren't can't cannot couldn't "
    "mightn't mustn't shan't shouldn't won't wouldn't don't doesn't didn't hasn't haven't hadn't needn't "
    "s t d ll m re ve"
)
STOP_WORDS = frozenset(" ".join((_PRONOUNS, _FUNCTION_WORDS, _AUXILIARIES, _CONTRACTED)).split())
"""Words that carry no topic."""

_local = threading.local()


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a query.

    Attributes:
        surface: Lower case, without a possessive ``'s``.
        stem: Its stem; empty for a stop word.
        capitalised: Whether it begins with a capital.
        start, end: Where it stands in the text.
    """

    surface: str
    stem: str
    capitalised: bool
    start: int
    end: int


def _surface(token: str) -> str:
    lower = token.lower().replace("’", "'")
    return lower.removesuffix("'s")


def stem_of(token: str) -> str:
    """The Snowball English stem of one word; empty for a stop word."""
    lower = token.lower().replace("’", "'")
    surface = lower.removesuffix("'s")
    if not surface or lower in STOP_WORDS or surface in STOP_WORDS:
        return ""
    try:
        stemmer = _local.stemmer
    except AttributeError:
        stemmer = _local.stemmer = Stemmer.Stemmer("english", 50_000)
    return str(stemmer.stemWord(surface.replace("'", "")))


def words(text: str) -> list[Word]:
    """The words of a query in order, stop words among them."""
    return [
        Word(_surface(match[0]), stem_of(match[0]), match[0][0].isupper(), match.start(), match.end())
        for match in _TOKEN.finditer(text)
    ]


def speaker_terms(speaker: str | None) -> frozenset[str]:
    """The index terms of a speaker's name; none for a role, ``user``, nor for a persona, ``Travel Assistant``."""
    names = {_surface(token) for token in _TOKEN.findall(speaker or "")}
    if not names.isdisjoint(_ROLES):
        return frozenset()
    return frozenset(SPEAKER + name for name in names - STOP_WORDS if name)


def document(content: str, speaker: str | None = None) -> Document:
    """The lexical side of a memory. Speaker terms have frequency 1 and do not count as length."""
    stems = Counter(stem for stem in map(stem_of, _TOKEN.findall(content)) if stem)
    length = stems.total()
    stems.update(speaker_terms(speaker))
    return Document(dict(stems), length)
