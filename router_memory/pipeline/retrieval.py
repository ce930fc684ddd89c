"""The part of a search that depends on the data: statistics, embedding, candidates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.ranking import Question, rarest, read, retrieval_of
from router_memory.types import CandidateQuery, CandidateSet, LexicalStatistics, Retrieval, Retrieved, SearchQuery

if TYPE_CHECKING:
    from router_memory.protocols import Embedder, MemoryStore

__all__ = ["Asked", "DirectRetriever", "Laps", "Overloaded"]


class Overloaded(Exception):
    """The embedder's backlog alone would pass the deadline.

    Args:
        wait: The backlog in seconds.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(f"{wait * 1000:.0f} ms backlog")


class Laps:
    """Wall time of stages, one after the other.

    Attributes:
        seconds: By stage.
        starts: When each stage began, on the clock of `time.perf_counter`.
    """

    __slots__ = ("_last", "seconds", "starts")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.starts: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """Ends a stage."""
        now = perf_counter()
        self.seconds[stage] = now - self._last
        self.starts[stage] = self._last
        self._last = now


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what the user's statistics make of it.

    Attributes:
        query: What was asked.
        question: Its text, read.
        statistics: The user's epoch and the statistics of its words.
        names: Its words that are part of a speaker's name.
        text: What is embedded.
    """

    query: SearchQuery
    question: Question
    statistics: LexicalStatistics
    names: frozenset[str]
    text: str


class DirectRetriever:
    """Looks candidates up in the store; implements `Retriever`.

    Args:
        store: Where memories are.
        embedder: What the store's vectors were made with.
    """

    def __init__(self, store: MemoryStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    async def retrieve(self, query: SearchQuery, *, until: float = math.inf) -> Retrieved:
        """See `Retriever.retrieve`."""
        laps = Laps()
        self._check_backlog(until)  # a request that cannot be served costs the store nothing
        asked = await self.asked(query)
        laps.lap("statistics")
        retrieval = await self.candidates(asked, laps, until=until)
        return Retrieved(retrieval, seconds=laps.seconds, starts=laps.starts)

    async def asked(self, query: SearchQuery) -> Asked:
        """The question read, with the user's epoch and the statistics of its words."""
        question = read(query.text)
        statistics = await self._store.statistics(query.scope, question.terms)
        names = question.names(statistics)
        return Asked(query, question, statistics, names, question.without(names))

    async def candidates(self, asked: Asked, laps: Laps, *, until: float) -> Retrieval:
        """The rest of `retrieve`; raises what that does.

        Args:
            asked: As `asked` gives it.
            laps: Takes the times.
            until: See `retrieve`.
        """
        query, question, statistics, names = asked.query, asked.question, asked.statistics, asked.names
        if statistics.documents == 0:
            return retrieval_of(question, names, statistics, CandidateSet(statistics.epoch, ()))
        self._check_backlog(until, asked.text)
        vector = await self._embedder.embed_query(asked.text)
        laps.lap("embed")
        found = await self._store.candidates(
            CandidateQuery(
                scope=query.scope,
                vector=vector,
                stems=rarest(question.stems(names), statistics) if query.lexical else (),
                dense_limit=query.dense_limit,
                lexical_limit=query.lexical_limit,
                types=query.types,
            ),
            within=_left(until),
        )
        retrieval = retrieval_of(question, names, statistics, found)
        laps.lap("candidates")
        return retrieval

    def _check_backlog(self, until: float, text: str = "") -> None:
        if (wait := self._embedder.backlog_seconds(text)) >= until - perf_counter():
            raise Overloaded(wait)


def _left(until: float) -> float | None:
    """Seconds left until then; ``None`` without an end.

    Raises:
        TimeoutError: None are.
    """
    left = until - perf_counter()
    if left <= 0:
        raise TimeoutError
    return None if until == math.inf else max(left, 1e-3)
