"""The read path: candidates, ranking, and the shortlist that a threshold cuts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import perf_counter

from router_memory.pipeline.cleaning import clean
from router_memory.pipeline.retrieval import Laps
from router_memory.pipeline.shortlist import Shortlist
from router_memory.protocols import Retriever
from router_memory.ranking import UNFITTED, Calibration, Evidence, Ranked
from router_memory.types import (
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
        found = await self.shortlist(
            scope, text, policy, types=types, reflection=reflection, visible=visible, now=now, until=until
        )
        return found.recollection(policy.threshold, policy.cutoff)

    async def shortlist(
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
    ) -> Shortlist:
        """The part of `recollect` that no threshold changes, to be cut at one or at many.

        Arguments and errors are those of `recollect`; the policy's threshold and rule are not looked at.
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
        _check_time(until)
        laps = Laps()
        ranked = self._ranked(found.retrieval, policy.mode)
        laps.lap("rank")
        _check_time(until)
        return Shortlist(
            found,
            ranked,
            limit=policy.limit,
            mode=policy.mode,
            reflection=reflection,
            visible=visible,
            now=now or datetime.now(UTC),
            clipped=len(whole) > QUERY_CHARS,
            seconds=laps.seconds,
            starts=laps.starts,
        )

    def _ranked(self, retrieval: Retrieval, mode: RankingMode) -> Ranked:
        """The candidates in order. Nothing of it depends on time, so it is kept with a retrieval that is kept."""
        ranked = retrieval.memo.get(mode)
        if not isinstance(ranked, Ranked):
            calibration = self._calibration() if retrieval.records else UNFITTED  # without any, no model was needed
            ranked = retrieval.memo[mode] = Ranked(Evidence(retrieval), mode, calibration)
        return ranked


def _check_time(until: float) -> None:
    if perf_counter() >= until:
        raise TimeoutError


def _clipped(text: str) -> str:
    if len(text) <= QUERY_CHARS:
        return text
    half = QUERY_CHARS // 2
    return f"{text[:half]} {text[-half:]}"
