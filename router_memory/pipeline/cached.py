"""The hot cache before a search: two levels, and equal questions answered once.

An answer is used only while its epoch is the user's current one. The epoch is read, or was read at most as long ago as
`Epochs` may remember it, after the request came; so an answer lacks no write that was acknowledged before.
"""

from __future__ import annotations

import asyncio
import math
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.cache import Flights
from router_memory.errors import BackendTimeout, EmbeddingError, MissingExtra
from router_memory.pipeline.retrieval import Laps, Overloaded
from router_memory.types import CacheLevel, Retrieved

if TYPE_CHECKING:
    from router_memory.cache import CachedEmbedder, Epochs, Flight, LocalCache, Look, Mark, Meters, SharedCache
    from router_memory.pipeline.retrieval import Asked, DirectRetriever
    from router_memory.types import Retrieval, SearchQuery

__all__ = ["CachedRetriever"]


class CachedRetriever:
    """Gives what is cached, or has it looked up and caches it; implements `Retriever`.

    Args:
        direct: Looks candidates up.
        embedder: The one that `direct` embeds with.
        epochs: Which state of a user's data is the current one.
        local: Level 1.
        shared: Level 2; ``None`` when there is none.
        meters: Counts what happens.
    """

    def __init__(
        self,
        direct: DirectRetriever,
        *,
        embedder: CachedEmbedder,
        epochs: Epochs,
        local: LocalCache,
        shared: SharedCache | None,
        meters: Meters,
    ) -> None:
        self._direct = direct
        self._embedder = embedder
        self._epochs = epochs
        self._local = local
        self._shared = shared
        self._meters = meters
        self._flights: Flights[SearchQuery, Retrieved] = Flights("router-memory-retrieve")

    async def retrieve(self, query: SearchQuery, *, until: float = math.inf) -> Retrieved:
        """See `Retriever.retrieve`."""
        visit = _Visit(self._epochs.mark(query.scope))
        kept = self._local.get(query)
        if kept is not None:
            if kept.epoch == await self._epochs.current(query.scope):
                return self._hit(kept, CacheLevel.LOCAL, visit)
            self._meters.count("level 1.dead")
            if self._local.get(query) is kept:  # nobody has replaced it meanwhile
                self._local.drop(query)
        return await self._joined(query, until, visit)

    async def _joined(self, query: SearchQuery, until: float, visit: _Visit) -> Retrieved:
        """The answer to a question that somebody else may be asking already.

        One who joins may have come after a write that the answer under way does not know of, so the epoch decides. The
        one who began may have less time left; then this one begins.
        """
        alone = False
        while perf_counter() < until:
            flight = None if alone else self._flights.get(query)
            if flight is None:
                return await self._flights.begin(query, self._answer(query, until), until=until).answer()
            laps = Laps()
            try:
                retrieval = (await flight.answer()).retrieval
            except (Overloaded, TimeoutError, BackendTimeout):
                if until <= flight.until:
                    raise
                alone = True
            else:
                alone = retrieval.partial and until > flight.until
                if not alone and await self._is_new_enough(retrieval, flight, query, visit):
                    laps.lap("joined")
                    self._meters.count("joined")
                    return Retrieved(retrieval, CacheLevel.JOINED, laps.seconds, laps.starts)
        raise TimeoutError

    async def _is_new_enough(
        self, retrieval: Retrieval, flight: Flight[Retrieved], query: SearchQuery, visit: _Visit
    ) -> bool:
        return flight.began >= visit.began or retrieval.epoch == await self._epochs.current(query.scope)

    async def _answer(self, query: SearchQuery, until: float) -> Retrieved:
        """The answer of level 2, or of the store, which is asked meanwhile unless the epoch is remembered."""
        visit = _Visit(self._epochs.mark(query.scope))
        look = None if self._shared is None else await self._look(self._shared, query)
        remembered = self._epochs.remembered(query.scope)
        found: Retrieval | None = None
        asking: asyncio.Task[Asked] | None = None
        try:
            if look is not None and remembered is not None:
                found = await look.read(remembered)
            elif look is not None:
                look = look.begun()  # before the store is asked, for its answer takes longer to use
            if found is None:
                asking = asyncio.create_task(self._direct.asked(query), name="router-memory-ask")
                if look is not None and remembered is None:
                    found = await look.read(await self._epoch(query, asking, visit))
            if found is not None:
                self._keep(query, found, visit)
                return self._hit(found, CacheLevel.SHARED, visit)
            return await self._looked_up(await self._asked(query, asking, visit), look, until, visit)
        finally:
            if asking is not None:
                asking.cancel()
            if look is not None:
                look.cancel()

    async def _epoch(self, query: SearchQuery, asking: asyncio.Task[Asked], visit: _Visit) -> str:
        """The current one, which the store says sooner or later."""
        epoch = await self._epochs.at_hand(query.scope)
        return (await self._asked(query, asking, visit)).statistics.epoch if epoch is None else epoch

    async def _asked(self, query: SearchQuery, asking: asyncio.Task[Asked] | None, visit: _Visit) -> Asked:
        asked = await (self._direct.asked(query) if asking is None else asking)
        self._epochs.note(query.scope, asked.statistics.epoch, visit.mark)
        return asked

    async def _looked_up(self, asked: Asked, look: Look | None, until: float, visit: _Visit) -> Retrieved:
        """The answer of the store, kept where it may be."""
        query = asked.query
        visit.laps.lap("statistics")
        if look is not None and asked.statistics.documents:
            await look.vector(asked.text)
            visit.laps.lap("cache")
        retrieval = await self._direct.candidates(asked, visit.laps, until=until)
        if self._keep(query, retrieval, visit) and look is not None:
            look.keep(retrieval)
        self._meters.count("miss")
        self._meters.time("miss", visit.began)
        return Retrieved(retrieval, CacheLevel.MISS, visit.laps.seconds, visit.laps.starts)

    async def _look(self, shared: SharedCache, query: SearchQuery) -> Look | None:
        """A look into level 2 for an answer, and for the vector if there is none; not begun.

        What vectors are is part of every key; without a model there is none, and whoever needs one will say so.
        """
        try:
            await self._embedder.identify()
        except (EmbeddingError, MissingExtra):
            return None
        return shared.look_for(query, self._embedder)

    def _hit(self, retrieval: Retrieval, level: CacheLevel, visit: _Visit) -> Retrieved:
        visit.laps.lap("cache")
        self._meters.count(f"{level.value}.hit")
        self._meters.time(level.value, visit.began)
        return Retrieved(retrieval, level, visit.laps.seconds, visit.laps.starts)

    def _keep(self, query: SearchQuery, retrieval: Retrieval, visit: _Visit) -> bool:
        """Keeps an answer in the process. Whether it may be kept at all.

        What this process has written meanwhile may have been to forget what is in the answer.
        """
        fit = retrieval.coherent and self._epochs.unchanged(query.scope, visit.mark)
        if fit:
            self._local.put(query, retrieval)
        return fit


class _Visit:
    """A question on its way: when it came, and how long things took."""

    __slots__ = ("began", "laps", "mark")

    def __init__(self, mark: Mark) -> None:
        self.began = perf_counter()
        self.laps = Laps()
        self.mark = mark
