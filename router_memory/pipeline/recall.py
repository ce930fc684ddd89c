"""The read path: candidates, ranking, filters, cut-off."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import perf_counter

from router_memory.pipeline.cleaning import clean
from router_memory.pipeline.inject import OVERHEAD_TOKENS, count_tokens, line_of
from router_memory.pipeline.messages import text_of
from router_memory.pipeline.retrieval import Laps
from router_memory.protocols import Retriever
from router_memory.ranking import UNFITTED, Calibration, Evidence, Ranked, Reflection, cut
from router_memory.types import (
    Cut,
    Dropped,
    Hit,
    MemoryType,
    Message,
    RankingMode,
    RecallPolicy,
    Recollection,
    ReflectionAlgorithm,
    ReflectionPolicy,
    Retrieval,
    Scope,
    SearchQuery,
)

__all__ = ["QUERY_CHARS", "Recall"]

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


class Recall:
    """Finds the memories that matter for a text.

    Args:
        retriever: Looks candidates up.
        calibration: Gives the similarity scale of the embedder, which is known once something was retrieved.
    """

    def __init__(self, retriever: Retriever, calibration: Callable[[], Calibration]) -> None:
        self._retriever = retriever
        self._calibration = calibration

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
            EmbeddingError, BackendError, Overloaded, TimeoutError: See `Retriever.retrieve`.
        """
        whole = clean(text)
        query = SearchQuery(
            scope=scope,
            text=_clipped(whole),
            lexical=policy.mode is not RankingMode.DENSE,
            dense_limit=max(DENSE_CANDIDATES, 2 * policy.limit),
            lexical_limit=LEXICAL_CANDIDATES,
            types=types,
        )
        found = await self._retriever.retrieve(query, until=until)
        retrieval = found.retrieval
        _check_time(until)
        laps = Laps()
        ranked = self._ranked(retrieval, policy.mode)
        laps.lap("rank")
        _check_time(until)
        chooser = Reflection(
            reflection,
            now=now or datetime.now(UTC),
            visible=map(text_of, visible),
            tokens_of=lambda hit: count_tokens(line_of(hit)),
            overhead=OVERHEAD_TOKENS,
        )
        hits, below, dropped, where = _choose(ranked, policy, chooser)
        laps.lap("select")
        return Recollection(
            hits=hits,
            cut=where,
            below=below,
            dropped=dropped,
            candidates=len(ranked),
            query_text=retrieval.query_text,
            names=tuple(sorted(retrieval.names)),
            clipped=len(whole) > QUERY_CHARS,
            seconds={**found.seconds, **laps.seconds},
            exact=retrieval.exact,
            partial=retrieval.partial,
            cache=found.level,
        )

    def _ranked(self, retrieval: Retrieval, mode: RankingMode) -> Ranked:
        """The candidates in order. Nothing of it depends on time, so it is kept with a retrieval that is kept."""
        ranked = retrieval.memo.get(mode)
        if not isinstance(ranked, Ranked):
            calibration = self._calibration() if retrieval.records else UNFITTED  # without any, no model was needed
            ranked = retrieval.memo[mode] = Ranked(Evidence(retrieval), mode, calibration)
        return ranked


def _choose(
    ranked: Ranked, policy: RecallPolicy, chooser: Reflection
) -> tuple[tuple[Hit, ...], tuple[Hit, ...], tuple[Dropped, ...], Cut]:
    """The best `limit` that may be shown and reach the threshold, within the budget."""
    head: list[Hit] = []
    place, end, wanted = 0, len(ranked), max(policy.limit, LEAST_HEAD)
    if chooser.admits_all:
        place = min(wanted, end)
        head = [ranked[index] for index in range(place)]
    while place < end and len(head) < wanted:
        head = chooser.admit(head, ranked[place])
        place += 1
    where = cut([hit.similarity for hit in head], policy.threshold, policy.cutoff, policy.mode)
    passing: list[Hit] = []
    below: list[Hit] = []
    for hit in head:
        (passing if hit.similarity >= where.threshold else below).append(hit)
    below += passing[policy.limit :]
    below += [ranked[index] for index in range(place, min(end, place + BELOW_SHOWN - len(below)))]
    hits = chooser.within_budget(passing[: policy.limit])
    dropped = tuple(drop for drop in chooser.dropped if drop.hit.similarity >= where.threshold)
    return tuple(hits), tuple(below[:BELOW_SHOWN]), dropped, where


def _check_time(until: float) -> None:
    if perf_counter() >= until:
        raise TimeoutError


def _clipped(text: str) -> str:
    if len(text) <= QUERY_CHARS:
        return text
    half = QUERY_CHARS // 2
    return f"{text[:half]} {text[-half:]}"
