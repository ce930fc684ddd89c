"""One look into level 2: for the answer to a question, and maybe for its vector in case there is none."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.cache.begun import Begun

if TYPE_CHECKING:
    from router_memory.cache.embedder import CachedEmbedder
    from router_memory.cache.shared import SharedCache
    from router_memory.types import Looked, Retrieval, SearchQuery

__all__ = ["Look"]

_HALF_WORTH = 0.5


class Look:
    """Asks once, however often it is read, and gives up after the time a look may take.

    Args:
        shared: Level 2.
        embedder: Takes the vector.
        query: The question.
    """

    __slots__ = (
        "_asked",
        "_asking",
        "_embedder",
        "_for_vector",
        "_key",
        "_looked",
        "_query",
        "_shared",
        "_until",
        "_with_vector",
    )

    def __init__(self, shared: SharedCache, embedder: CachedEmbedder, query: SearchQuery) -> None:
        self._shared = shared
        self._embedder = embedder
        self._query = query
        self._key = shared.key(query)
        self._until = perf_counter() + shared.timeout
        self._for_vector = shared.odds.vector
        # where hits are usual, the vector of a miss is worth a round trip of its own
        self._with_vector = self._for_vector and not shared.odds.usual and not embedder.has(query.text)
        self._asking: asyncio.Task[Looked | None] | Begun[Looked | None] | None = None
        self._looked: Looked | None = None
        self._asked = False

    def begun(self, *, alone: bool = False) -> Look:
        """The same, going on while something else is done.

        Args:
            alone: By a task of its own, so that it may be awaited by anybody at any time.
        """
        asking = self._ask()
        self._asking = asyncio.create_task(asking, name="router-memory-cache-look") if alone else Begun(asking)
        return self

    async def found(self) -> bool:
        """Whether there is an answer, of whatever state."""
        looked = await self._answer()
        return looked is not None and looked.value is not None

    async def wait(self) -> None:
        """Waits for what the server says, and has the odds take note of how long that took."""
        began = perf_counter()
        try:
            await self._answer()
        finally:
            self._shared.odds.waited(perf_counter() - began)

    async def read(self, epoch: str) -> Retrieval | None:
        """The answer that was found, if it is of the state that has this epoch."""
        return self._shared.read(await self._answer(), self._query, self._key, epoch)

    def tell(self, *, hit: bool) -> None:
        """Has the odds take note of what it was worth, once that is known."""
        if self._looked is not None:
            repeated = self._looked.value is not None and self._shared.keeps_vectors  # so its vector is there as well
            half = repeated or self._looked.vector is not None
            self._shared.odds.saw(1.0 if hit else _HALF_WORTH if half else 0.0)

    async def vector(self, text: str) -> None:
        """Hands the vector of the text that is embedded to the embedder, if the server has it and was worth asking."""
        looked = await self._answer()
        if looked is None or not self._for_vector:
            return
        if text == self._query.text and self._with_vector:
            self._embedder.offer(text, looked.vector)
        elif (left := self._until - perf_counter()) > 0:
            await self._embedder.prefetch(text, within=left)

    def keep(self, retrieval: Retrieval) -> None:
        """Writes an answer, where the server can be asked and there is a state of the data to bind it to."""
        if self._looked is not None and retrieval.epoch:
            self._shared.keep(self._query, self._key, retrieval, self._looked.lease)

    def cancel(self) -> None:
        """Ends what goes on."""
        if isinstance(self._asking, Begun):
            self._asking.close()
        elif self._asking is not None:
            self._asking.cancel()

    async def _answer(self) -> Looked | None:
        if self._asked:
            return self._looked
        return await (self._ask() if self._asking is None else self._asking)

    async def _ask(self) -> Looked | None:
        wanted = self._query.text if self._with_vector else None
        self._looked = await self._shared.look(self._query, self._key, text=wanted)
        self._asked = True
        return self._looked
