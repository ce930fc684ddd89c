"""One look into level 2: for the answer to a question, and for its vector in case there is none."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router_memory.cache.embedder import CachedEmbedder
    from router_memory.cache.shared import SharedCache
    from router_memory.types import Looked, Retrieval, SearchQuery

__all__ = ["Look"]


class Look:
    """Asks once, however often it is read, and gives up after the time a look may take.

    Args:
        shared: Level 2.
        embedder: Takes the vector.
        query: The question.
    """

    def __init__(self, shared: SharedCache, embedder: CachedEmbedder, query: SearchQuery) -> None:
        self._shared = shared
        self._embedder = embedder
        self._query = query
        self._key = shared.key(query)
        self._until = perf_counter() + shared.timeout
        self._task: asyncio.Task[Looked | None] | None = None
        self._looked: Looked | None = None
        self._asked = False

    def begun(self) -> Look:
        """The same, going on while something else is done."""
        self._task = asyncio.create_task(self._ask(), name="router-memory-cache-look")
        return self

    async def read(self, epoch: str) -> Retrieval | None:
        """The answer that was found, if it is of the state that has this epoch."""
        return self._shared.read(await self._answer(), self._query, self._key, epoch)

    async def vector(self, text: str) -> None:
        """Hands the vector of the text that is embedded to the embedder, if the server has it."""
        looked = await self._answer()
        if looked is None:
            return
        if text == self._query.text:
            self._embedder.offer(text, looked.vector)
        elif (left := self._until - perf_counter()) > 0:
            await self._embedder.prefetch(text, within=left)

    def keep(self, retrieval: Retrieval) -> None:
        """Writes an answer, where the server can be asked and there is a state of the data to bind it to."""
        if self._looked is not None and retrieval.epoch:
            self._shared.keep(self._query, self._key, retrieval, self._looked.lease)

    def cancel(self) -> None:
        """Ends what goes on."""
        if self._task is not None:
            self._task.cancel()

    async def _answer(self) -> Looked | None:
        if self._task is not None:
            return await self._task
        return self._looked if self._asked else await self._ask()

    async def _ask(self) -> Looked | None:
        self._asked = True
        wanted = None if self._embedder.has(self._query.text) else self._query.text
        self._looked = await self._shared.look(self._query, self._key, text=wanted)
        return self._looked
