"""One user with memories and questions, for hits and misses."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from bench.stages.corpus import Corpus, make_corpus
from router_memory import MemoryPlugin, Scope
from router_memory.types import CacheLevel, Recollection

if TYPE_CHECKING:
    from bench.cache.room import Opened
    from bench.valkey.timing import Work

__all__ = ["DECISION", "LIMIT", "SCOPE", "about_100", "ask", "asking", "check_levels", "counts", "fill", "make_corpus"]

SCOPE = Scope("priya")
_CANDIDATES = 100
LIMIT = 10
DECISION = "personalized_route"


async def fill(plugin: MemoryPlugin, corpus: Corpus) -> None:
    """Stores the conversations as the user's."""
    for session in corpus.sessions:
        await plugin.remember(SCOPE, session.id, session.turns)


async def ask(plugin: MemoryPlugin, question: str) -> Recollection:
    """The best ten by the hybrid order, whatever their similarity."""
    return await plugin.recollect(SCOPE, question, limit=LIMIT, threshold=0.0, decision=DECISION)


def asking(plugin: MemoryPlugin, questions: Sequence[str]) -> Work:
    """One question after the other, and from the beginning again."""

    async def work(number: int) -> None:
        await ask(plugin, questions[number % len(questions)])

    return work


async def about_100(plugin: MemoryPlugin, corpus: Corpus, count: int) -> list[str]:
    """The questions whose number of candidates is nearest to 100."""
    texts = dict.fromkeys(asked.text for asked in corpus.questions)
    found = {text: (await ask(plugin, text)).candidates for text in texts}
    return sorted(texts, key=lambda text: abs(found[text] - _CANDIDATES))[:count]


async def counts(plugin: MemoryPlugin, questions: Sequence[str]) -> dict[str, float]:
    """How many candidates the questions have."""
    found = [(await ask(plugin, text)).candidates for text in questions]
    return {"candidates_least": min(found), "candidates_median": median(found), "candidates_most": max(found)}


async def check_levels(opened: Opened, questions: Sequence[str], level: CacheLevel) -> None:
    """Raises `RuntimeError` unless this level of the cache answers every question."""
    for text in questions:
        found = await ask(opened.plugin, text)
        if found.cache is not level:
            raise RuntimeError(f"answered by {found.cache}, not by {level}")
