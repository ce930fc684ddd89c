"""The hot cache before a search: two levels, and equal questions answered once.

An answer is used only while its epoch is the user's current one. The epoch is read, or was read at most as long ago as
`Epochs` may remember it, after the request came; so an answer lacks no write that was acknowledged before.
"""

from __future__ import annotations

import asyncio
import math
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.cache import Abandoned, Begun, Flights, key_of
from router_memory.errors import BackendTimeout, EmbeddingError, MissingExtra
from router_memory.pipeline.retrieval import Laps, Overloaded
from router_memory.types import CacheLevel, Retrieved

if TYPE_CHECKING:
    from router_memory.cache import CachedEmbedder, Epochs, Flight, Key, LocalCache, Look, Mark, Meters, SharedCache
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
        self._flights: Flights[Key, Retrieved] = Flights("router-memory-retrieve")

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
        flight = self._flights.get(key_of(query))
        if flight is None and perf_counter() < until:  # as a rule
            return await self._led(query, until, visit)
        return await self._joined(query, until, visit)

    async def _joined(self, query: SearchQuery, until: float, visit: _Visit) -> Retrieved:
        """The answer to a question that somebody else may be asking already.

        One who joins may have come after a write that the answer under way does not know of, so the epoch decides. The
        one who began may have less time left; then this one begins.
        """
        alone = False
        while perf_counter() < until:
            flight = None if alone else self._flights.get(key_of(query))
            if flight is None:
                return await self._led(query, until, _Visit(self._epochs.mark(query.scope)))
            laps = Laps()
            try:
                retrieval = (await flight.answer()).retrieval
            except (Overloaded, TimeoutError, BackendTimeout):
                if until <= flight.until:
                    raise
                alone = True
            except Abandoned:
                continue
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

    async def _led(self, query: SearchQuery, until: float, visit: _Visit) -> Retrieved:
        """The answer to a question that nobody else is asking.

        Level 2 is asked here and now; what costs more is left to a task, which goes on for others when this is
        cancelled.

        Args:
            query: What is asked.
            until: When the answer is of no use any more.
            visit: Begun here and now: nothing was awaited since.
        """
        flight = self._flights.lead(key_of(query), until=until)
        attempt = _Attempt(visit, self._shared)
        try:
            found = await self._looked(query, attempt, until)
            if found is not None:
                hit = self._hit(found, CacheLevel.SHARED, attempt.visit)
                flight.land(hit)
                attempt.close()
                return hit
        except BaseException as error:
            attempt.close()
            flight.fail(error)
            raise
        flight.go_on(self._missed(query, attempt, until)).on_end(lambda _: attempt.close())
        return await flight.answer()

    async def _looked(self, query: SearchQuery, attempt: _Attempt, until: float) -> Retrieval | None:
        """The answer of level 2. The store is asked meanwhile, for as much as the odds say."""
        if self._shared is None or (look := await self._look(self._shared, query)) is None:
            return None
        attempt.look, odds = look, self._shared.odds
        remembered = self._epochs.remembered(query.scope)
        rare, hasty = odds.rare, odds.rare and not odds.quick
        if rare or remembered is None:
            look.begun(alone=hasty)  # before the store is asked, for its answer takes longer to use
            self._ask_meanwhile(query, attempt, epoch_alone=odds.usual and not rare)
        if rare and attempt.asking is not None:
            asked = await attempt.asking
            if hasty:
                await self._foresee(asked, attempt, until)
            else:
                await look.wait()
        if not await look.found():
            look.tell(hit=False)
            attempt.end_epoch()
            return None
        if attempt.epoch is not None:
            epoch = await attempt.epoch
        elif remembered is None:
            epoch = (await self._asked(query, attempt)).statistics.epoch
        else:
            epoch = remembered
        return self._taken(query, await look.read(epoch), look, attempt.visit)

    def _ask_meanwhile(self, query: SearchQuery, attempt: _Attempt, *, epoch_alone: bool) -> None:
        """Begins to ask the store: for the epoch alone, or for all that a miss needs first."""
        if epoch_alone:
            attempt.epoch = Begun(self._epochs.current(query.scope))
        else:
            attempt.asking = Begun(self._direct.asked(query))

    def _taken(self, query: SearchQuery, found: Retrieval | None, look: Look, visit: _Visit) -> Retrieval | None:
        """The answer that a look brought, noted and kept if it is one in the current state of the data."""
        look.tell(hit=found is not None)
        if found is not None:
            self._keep(query, found, visit)
        return found

    async def _foresee(self, asked: Asked, attempt: _Attempt, until: float) -> None:
        """Begins to embed before level 2 has answered."""
        wait = self._embedder.backlog_seconds(asked.text)
        if asked.statistics.documents and wait < until - perf_counter() and not self._embedder.has(asked.text):
            work = self._embedder.foresee(asked.text)
            attempt.foreseeing = asyncio.create_task(work, name="router-memory-foresee")
            await asyncio.sleep(0)  # it begins now

    async def _missed(self, query: SearchQuery, attempt: _Attempt, until: float) -> Retrieved:
        """The answer of the store."""
        asked = await self._asked(query, attempt)
        return await self._looked_up(asked, attempt.look, until, attempt.visit)

    async def _asked(self, query: SearchQuery, attempt: _Attempt) -> Asked:
        asked = await (self._direct.asked(query) if attempt.asking is None else attempt.asking)
        self._epochs.note(query.scope, asked.statistics.epoch, attempt.visit.mark)
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
        name = level.value
        self._meters.count(name + ".hit")
        self._meters.time(name, visit.began)
        return Retrieved(retrieval, level, visit.laps.seconds, visit.laps.starts)

    def _keep(self, query: SearchQuery, retrieval: Retrieval, visit: _Visit) -> bool:
        """Keeps an answer in the process. Whether it may be kept at all.

        What this process has written meanwhile may have been to forget what is in the answer.
        """
        fit = retrieval.coherent and self._epochs.unchanged(query.scope, visit.mark)
        if fit:
            self._local.put(query, retrieval)
        return fit


class _Attempt:
    """What is under way for one question; all of it ends with `close`."""

    __slots__ = ("_lull", "asking", "epoch", "foreseeing", "look", "visit")

    def __init__(self, visit: _Visit, shared: SharedCache | None) -> None:
        self.visit = visit
        self._lull = None if shared is None else shared.lull  # it is another one when level 2 is opened again
        if self._lull is not None:
            self._lull.came()
        self.look: Look | None = None
        self.epoch: Begun[str] | None = None
        self.asking: Begun[Asked] | None = None
        self.foreseeing: asyncio.Task[None] | None = None

    def end_epoch(self) -> None:
        """Ends reading the epoch by itself: the store gives it with its answer."""
        if self.epoch is not None:
            self.epoch.close()

    def close(self) -> None:
        """Ends what still goes on. To be called once."""
        if self._lull is not None:
            self._lull.left()
        self.end_epoch()
        if self.asking is not None:
            self.asking.close()
        if self.look is not None:
            self.look.cancel()
        if self.foreseeing is not None:
            self.foreseeing.cancel()


class _Visit:
    """A question on its way: when it came, and how long things took."""

    __slots__ = ("began", "laps", "mark")

    def __init__(self, mark: Mark) -> None:
        self.began = perf_counter()
        self.laps = Laps()
        self.mark = mark
