"""The read path: statistics, embedding, candidates, ranking, filters, cut-off."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from time import perf_counter

from router_memory.pipeline.cleaning import clean
from router_memory.pipeline.inject import OVERHEAD_TOKENS, count_tokens, line_of
from router_memory.pipeline.messages import text_of
from router_memory.protocols import Embedder, MemoryStore
from router_memory.ranking import Evidence, Question, Ranked, Reflection, calibration_for, cut, rarest, read
from router_memory.types import (
    CandidateQuery,
    CandidateSet,
    Cut,
    Dropped,
    Hit,
    LexicalStatistics,
    MemoryType,
    Message,
    RankingMode,
    RecallPolicy,
    Recollection,
    ReflectionAlgorithm,
    ReflectionPolicy,
    Scope,
)

__all__ = ["QUERY_CHARS", "Overloaded", "Recall"]

QUERY_CHARS = 800
"""Longest query searched for, in characters: about what the model reads in one go. Of a longer one its first and
last half of this count are taken, for a question stands before or behind the text it is about, and embedding all of
a long text would pass any deadline. `Recollection.clipped` says that it happened."""

DENSE_CANDIDATES = 50
"""Nearest memories taken by the dense channel, at least; never fewer than twice the limit."""

LEXICAL_CANDIDATES = 400
"""Most memories the lexical channel adds: the last stem may hold many more than were asked for."""

LEAST_HEAD = 5
"""The cut-off looks at the best `limit` candidates, at least this many: with a limit of 1 or 2 the one in front
may fail the threshold while the next one passes it. Looking further adds more noise than evidence."""

BELOW_SHOWN = 5
"""How many of the best candidates that were not returned are kept to be looked at."""

_NO_REFLECTION = ReflectionPolicy(algorithm=ReflectionAlgorithm.NOOP)


class Overloaded(Exception):
    """The embedder's backlog alone would pass the deadline.

    Args:
        wait: The backlog in seconds.
    """

    def __init__(self, wait: float) -> None:
        super().__init__(f"{wait * 1000:.0f} ms backlog")


class Recall:
    """Finds the memories that matter for a text.

    Args:
        store: Where memories are.
        embedder: What the store's vectors were made with.
    """

    def __init__(self, store: MemoryStore, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    async def recollect(
        self,
        scope: Scope,
        text: str,
        policy: RecallPolicy,
        *,
        types: frozenset[MemoryType] = frozenset(),
        reflection: ReflectionPolicy = _NO_REFLECTION,
        visible: Iterable[Message] = (),
        now: datetime | None = None,
        until: float = math.inf,
    ) -> Recollection:
        """Searches a scope.

        Args:
            text: What to search for, in the user's words.
            types: Only memories of these types; empty means all.
            reflection: What to drop between ranking and result.
            visible: The request's messages; what they show already is not returned.
            now: The request's time, for recency.
            until: When the result is of no use any more, on the clock of `time.perf_counter`.

        Raises:
            EmbeddingError, BackendError: As the embedder and the store do.
            Overloaded: The embedder could not start before `until`.
            TimeoutError: `until` passed between two stages.
        """
        clock = _Clock()
        whole = clean(text)
        question = read(_clipped(whole))
        clipped = len(whole) > QUERY_CHARS
        hybrid = policy.mode is not RankingMode.DENSE
        self._check_backlog(until)
        statistics = await self._store.statistics(scope, question.terms)
        clock.lap("statistics")
        names = question.names(statistics)
        query_text = question.without(names)
        if statistics.documents == 0:
            nothing = cut((), policy.threshold, policy.cutoff, policy.mode)
            return Recollection((), nothing, query_text=query_text, clipped=clipped, seconds=clock.seconds)
        self._check_backlog(until)  # again: a burst all saw an idle model before its statistics
        vector = await self._embedder.embed_query(query_text)
        clock.lap("embed")
        found = await self._store.candidates(
            CandidateQuery(
                scope=scope,
                vector=vector,
                stems=rarest(question.stems(names), statistics) if hybrid else (),
                dense_limit=max(DENSE_CANDIDATES, 2 * policy.limit),
                lexical_limit=LEXICAL_CANDIDATES,
                types=types,
            ),
            within=_left(until),
        )
        clock.lap("candidates")
        _check_time(until)
        ranked = self._rank(question, names, statistics, found, policy.mode)
        clock.lap("rank")
        _check_time(until)
        chooser = Reflection(
            reflection,
            now=now or datetime.now(UTC),
            visible=map(text_of, visible),
            tokens_of=lambda hit: count_tokens(line_of(hit)),
            overhead=OVERHEAD_TOKENS,
        )
        hits, below, dropped, where = _choose(ranked, policy, chooser)
        clock.lap("select")
        return Recollection(
            hits=hits,
            cut=where,
            below=below,
            dropped=dropped,
            candidates=len(ranked),
            query_text=query_text,
            names=tuple(sorted(names)),
            clipped=clipped,
            seconds=clock.seconds,
            exact=found.exact,
            partial=found.partial,
        )

    def _check_backlog(self, until: float) -> None:
        if (wait := self._embedder.backlog_seconds()) >= until - perf_counter():
            raise Overloaded(wait)

    def _rank(
        self,
        question: Question,
        names: frozenset[str],
        statistics: LexicalStatistics,
        found: CandidateSet,
        mode: RankingMode,
    ) -> Ranked:
        evidence = Evidence(question, names, found.candidates, statistics)
        return Ranked(evidence, mode, calibration_for(self._embedder.fingerprint))


def _choose(
    ranked: Ranked, policy: RecallPolicy, chooser: Reflection
) -> tuple[tuple[Hit, ...], tuple[Hit, ...], tuple[Dropped, ...], Cut]:
    """The best `limit` that may be shown and reach the threshold, within the budget."""
    head: list[Hit] = []
    place = 0
    while place < len(ranked) and len(head) < max(policy.limit, LEAST_HEAD):
        head = chooser.admit(head, ranked[place])
        place += 1
    where = cut([hit.similarity for hit in head], policy.threshold, policy.cutoff, policy.mode)
    passing = [hit for hit in head if hit.similarity >= where.threshold]
    below = [hit for hit in head if hit.similarity < where.threshold] + passing[policy.limit :]
    below += [ranked[index] for index in range(place, min(len(ranked), place + BELOW_SHOWN - len(below)))]
    hits = chooser.within_budget(passing[: policy.limit])
    dropped = tuple(drop for drop in chooser.dropped if drop.hit.similarity >= where.threshold)
    return tuple(hits), tuple(below[:BELOW_SHOWN]), dropped, where


def _check_time(until: float) -> None:
    if perf_counter() >= until:
        raise TimeoutError


def _left(until: float) -> float | None:
    """Seconds left until then; ``None`` without an end.

    Raises:
        TimeoutError: None are.
    """
    _check_time(until)
    return None if until == math.inf else max(until - perf_counter(), 1e-3)


def _clipped(text: str) -> str:
    if len(text) <= QUERY_CHARS:
        return text
    half = QUERY_CHARS // 2
    return f"{text[:half]} {text[-half:]}"


class _Clock:
    """Wall time of the stages, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.seconds[stage] = now - self._last
        self._last = now
