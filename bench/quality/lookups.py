"""Candidates looked up once for each question and owner, to be ranked and cut many times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from router_memory.pipeline.retrieval import DirectRetriever
from router_memory.ranking import calibration_for, read, retrieval_of
from router_memory.types import CacheLevel, CandidateQuery, Retrieval, Retrieved, Scope, SearchQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from router_memory.protocols import Embedder
    from router_memory.ranking import Calibration
    from router_memory.wiring import Assembly

__all__ = ["NEAREST", "Lookups"]

NEAREST = 50
"""How many memories `Lookups.nearest` gives."""


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
        self._embedder = _Once(parts.embedder)
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
        self._embedder.forget()


class _Once:
    """An `Embedder` that remembers the vectors of questions."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: dict[str, NDArray[np.float32]] = {}

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def runtime(self) -> str:
        return self._embedder.runtime

    async def identify(self) -> None:
        await self._embedder.identify()

    async def open(self) -> None:
        await self._embedder.open()

    async def close(self) -> None:
        await self._embedder.close()

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        if text not in self._vectors:
            self._vectors[text] = await self._embedder.embed_query(text)
        return self._vectors[text]

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        return await self._embedder.embed_passages(texts)

    def backlog_seconds(self, text: str = "") -> float:
        return self._embedder.backlog_seconds(text)

    def forget(self) -> None:
        self._vectors.clear()
