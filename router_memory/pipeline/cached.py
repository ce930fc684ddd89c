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
from router_memory.errors import BackendTimeout
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
        remembered = self._epochs.remembered(query.scope)
        if self._shared is None or remembered is None or self._flights.get(query) is not None:
            return await self._joined(query, until, visit, None)
        look = await self._look(self._shared, query)  # it is all that a hit takes
        found = await look.read(remembered)
        if found is not None:
            self._keep(query, found, visit)
            return self._hit(found, CacheLevel.SHARED, visit)
        return await self._joined(query, until, visit, look)

    async def _joined(self, query: SearchQuery, until: float, visit: _Visit, look: Look | None) -> Retrieved:
        """The answer to a question that somebody else may be asking already.

        One who joins may have come after a write that the answer under way does not know of, so the epoch decides. The
        one who began may have less time left; then another one begins.
        """
        while perf_counter() < until:
            flight = self._flights.get(query)
            if flight is None:
                return await self._flights.begin(query, self._answer(query, until, look), until=until).answer()
            laps = Laps()
            try:
                retrieval = (await flight.answer()).retrieval
            except (Overloaded, TimeoutError, BackendTimeout):
                if until <= flight.until:
                    raise
            else:
                hurried = retrieval.partial and until > flight.until
                if not hurried and await self._is_new_enough(retrieval, flight, query, visit):
                    laps.lap("joined")
                    self._meters.count("joined")
                    return Retrieved(retrieval, CacheLevel.JOINED, laps.seconds)
            look = None
        raise TimeoutError

    async def _is_new_enough(
        self, retrieval: Retrieval, flight: Flight[Retrieved], query: SearchQuery, visit: _Visit
    ) -> bool:
        return flight.began >= visit.began or retrieval.epoch == await self._epochs.current(query.scope)

    async def _answer(self, query: SearchQuery, until: float, look: Look | None) -> Retrieved:
        """The answer of the store, or of level 2 where that was not looked into yet.

        Level 2 and the store are asked at the same time.
        """
        visit = _Visit(self._epochs.mark(query.scope))
        asking = asyncio.create_task(self._direct.asked(query), name="router-memory-ask")
        looked = look is not None
        try:
            if look is None and self._shared is not None:
                look = (await self._look(self._shared, query)).begun()
            found = None
            if look is not None and not looked:
                found = await self._found(query, look, asking)
            if found is not None:
                self._keep(query, found, visit)
                return self._hit(found, CacheLevel.SHARED, visit)
            return await self._looked_up(await asking, look, until, visit)
        finally:
            asking.cancel()
            if look is not None:
                look.cancel()

    async def _found(self, query: SearchQuery, look: Look, asking: asyncio.Task[Asked]) -> Retrieval | None:
        """What the look found, if it is of the current state, which the store says sooner or later."""
        epoch = await self._epochs.at_hand(query.scope)
        return await look.read((await asking).statistics.epoch if epoch is None else epoch)

    async def _looked_up(self, asked: Asked, look: Look | None, until: float, visit: _Visit) -> Retrieved:
        """The answer of the store, kept where it may be."""
        query = asked.query
        self._epochs.note(query.scope, asked.statistics.epoch, visit.mark)
        visit.laps.lap("statistics")
        if look is not None and asked.statistics.documents:
            await look.vector(asked.text)
            visit.laps.lap("cache")
        retrieval = await self._direct.candidates(asked, visit.laps, until=until)
        if self._keep(query, retrieval, visit) and look is not None:
            look.keep(retrieval)
        self._meters.count("miss")
        self._meters.time("miss", visit.began)
        return Retrieved(retrieval, CacheLevel.MISS, visit.laps.seconds)

    async def _look(self, shared: SharedCache, query: SearchQuery) -> Look:
        """A look into level 2 for an answer, and for the vector if there is none."""
        await self._embedder.identify()  # what vectors are is part of every key
        return shared.look_for(query, self._embedder)

    def _hit(self, retrieval: Retrieval, level: CacheLevel, visit: _Visit) -> Retrieved:
        visit.laps.lap("cache")
        self._meters.count(f"{level.value}.hit")
        self._meters.time(level.value, visit.began)
        return Retrieved(retrieval, level, visit.laps.seconds)

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
