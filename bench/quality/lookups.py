"""Candidates looked up once for each question and owner, to be ranked and cut many times."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from router_memory.cache import CachedEmbedder, Meters
from router_memory.pipeline.retrieval import DirectRetriever
from router_memory.ranking import calibration_for, read, retrieval_of
from router_memory.types import CacheLevel, CandidateQuery, Retrieval, Retrieved, Scope, SearchQuery

if TYPE_CHECKING:
    from router_memory.ranking import Calibration
    from router_memory.wiring import Assembly

__all__ = ["NEAREST", "Lookups"]

NEAREST = 50
"""How many memories `Lookups.nearest` gives."""

_VECTORS = 1_000
"""Query vectors kept; one question has a handful, with and without names."""


class Lookups:
    """Implements `Retriever`: the product's own way to the candidates, which keeps them until `forget`.

    Args:
        parts: Open.

    Attributes:
        latest: What the last search was given.
    """

    latest: Retrieval

    def __init__(self, parts: Assembly) -> None:
        self._store = parts.store
        self._embedder = CachedEmbedder(
            parts.embedder, shared=None, entries=_VECTORS, ttl=math.inf, meters=Meters(Counter())
        )
        self._retriever = DirectRetriever(parts.store, self._embedder)
        self._found: dict[SearchQuery, Retrieval] = {}
        self._nearest: dict[tuple[Scope, str, bool], Retrieval] = {}

    @property
    def calibration(self) -> Calibration:
        """The similarity scale of the embedder."""
        return calibration_for(self._embedder.fingerprint, self._embedder.runtime)

    async def retrieve(self, query: SearchQuery, *, until: float = math.inf) -> Retrieved:
        """See `Retriever.retrieve`."""
        kept = self._found.get(query)
        if kept is not None:
            self.latest = kept
            return Retrieved(kept, level=CacheLevel.LOCAL)
        found = await self._retriever.retrieve(query, until=until)
        self.latest = self._found[query] = found.retrieval
        return found

    async def nearest(self, scope: Scope, text: str, *, names_out: bool) -> Retrieval:
        """The 50 nearest memories and no others.

        Args:
            names_out: Whether words that are part of a speaker's name are left out of the question, as `search` does.
        """
        key = (scope, text, names_out)
        if key not in self._nearest:
            question = read(text)
            statistics = await self._store.statistics(scope, question.terms)
            names = question.names(statistics) if names_out else frozenset()
            vector = await self._embedder.embed_query(question.without(names) if names else text)
            wanted = CandidateQuery(scope=scope, vector=vector, dense_limit=NEAREST)
            found = await self._store.candidates(wanted)
            self._nearest[key] = retrieval_of(question, names, statistics, found)
        return self._nearest[key]

    def forget(self) -> None:
        """Lets go of everything."""
        self._found.clear()
        self._nearest.clear()
        self._embedder.clear()
