"""Large users: each gets an HNSW index of its own beside the index over everything, which goes on holding all.

So nothing ever moves: a search uses the graph once it is whole, and the exact index before, after and whenever the
graph is not what it should be.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import LRUCache

from router_memory.backends.valkey.damage import number, reading
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.schema import IndexInfo, Shape, create_promoted, parse_info
from router_memory.backends.valkey.translate import IndexExists, IndexMissing
from router_memory.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from router_memory.backends.valkey.connection import Connection

__all__ = ["Promotions"]

_log = logging.getLogger("router_memory.valkey")

_KNOWN = 4_096
_POLL_SECONDS = 0.1
_REFUSED_SECONDS = 60.0
_MOST_LOOKS = 4
"""How many users are looked at at the same time: a server that is late has enough to do."""
_HEADROOM = 1.25
_KEPT_SHARE = 0.5
"""A graph is dropped when fewer than this share of `promote_at` vectors are left, so that it does not come and go."""


@dataclass(slots=True)
class _Graph:
    """What this process knows of one user's HNSW index.

    Attributes:
        ready: Whether it holds every vector of the user.
        retry_at: When to try again after it could not be made.
    """

    ready: bool = False
    retry_at: float = 0.0


class Promotions:
    """Gives large users an index of their own, and takes it away when they are large no more.

    Args:
        connection: The server.
        index_name: Of the index over everything; theirs is followed by the user's hash tag.
        shape: How vectors are indexed.
        dimension: Gives the components of a vector; they are not known before the store was opened.
        promote_at: Users with more vectors than this are large.
        most: How many such indexes there may be.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        index_name: str,
        shape: Shape,
        dimension: Callable[[], int],
        promote_at: int,
        most: int,
    ) -> None:
        self._connection = connection
        self._index_name = index_name
        self._shape = shape
        self._dimension = dimension
        self._promote_at = promote_at
        self._most = most
        self._graphs: LRUCache[str, _Graph] = LRUCache(_KNOWN)
        self._looked: LRUCache[str, float] = LRUCache(_KNOWN)  # when to look again
        self._looking = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._making = asyncio.Lock()

    @property
    def most(self) -> int:
        """How many users may have an index of their own."""
        return self._most

    def name_of(self, keys: Keys) -> str:
        """The name of the user's own index."""
        return f"{self._index_name}{{{keys.user}}}"

    def usable(self, keys: Keys) -> str | None:
        """The name of the user's own index when it holds all of the user's vectors, as far as this process knows."""
        graph = self._graphs.get(keys.user)
        return self.name_of(keys) if graph is not None and graph.ready else None

    def observe(self, keys: Keys, reply: object) -> IndexInfo:
        """Takes note of what FT.INFO said of the user's own index, and gives it."""
        with reading("FT.INFO", self._connection.location):
            info = parse_info(reply)
        if (graph := self._graphs.get(keys.user)) is not None:
            graph.ready = info.ready
        return info

    def suspend(self, keys: Keys) -> None:
        """Leaves the user's own index alone for a while: it does not hold what it should."""
        graph = self._graphs[keys.user] = _Graph()
        graph.retry_at = monotonic() + _REFUSED_SECONDS

    def has_graph(self, keys: Keys) -> bool:
        """Whether the user's vectors go into a graph, which takes the server its time."""
        return self._shape.index_type == "hnsw" or keys.user in self._graphs

    def discard(self, keys: Keys) -> None:
        """Forgets the user's own index, which turned out not to be there."""
        self._graphs.pop(keys.user, None)

    def grown(self, keys: Keys, vectors: int) -> None:
        """Starts to make the user's own index, in the background, when there are enough vectors for one."""
        if vectors <= self._promote_at or self._shape.index_type == "hnsw" or self._most == 0:
            return
        graph = self._graphs.setdefault(keys.user, _Graph())
        if not graph.ready and monotonic() >= graph.retry_at and keys.user not in self._tasks:
            self._start(keys, lambda: self._promote(keys, graph, vectors))

    def missed(self, keys: Keys) -> None:
        """Starts to look, in the background, whether a user whose exact search was not in time is a large one.

        Such a search says nothing of the user, so that one who is only read would never get a graph in this process.
        """
        if self._shape.index_type == "hnsw" or self._most == 0 or keys.user in self._tasks:
            return
        graph, now = self._graphs.get(keys.user), monotonic()
        if graph is not None and (graph.ready or now < graph.retry_at):
            return
        if now >= self._looked.get(keys.user, 0.0) and self._looking < _MOST_LOOKS:
            self._looked[keys.user] = now + _REFUSED_SECONDS  # it was the server, perhaps, that was late
            self._looking += 1  # here, for many searches may be late at once, before the first look begins
            self._start(keys, lambda: self._look(keys))

    def shrunk(self, keys: Keys, before: int, after: int) -> None:
        """Starts to drop the user's own index, in the background, when a deletion left too few memories for it."""
        if before >= self._edge > after and self._shape.index_type != "hnsw":
            self.discard(keys)
            self._start(keys, lambda: self._demote(keys))

    async def settle(self) -> None:
        """Waits until the index work begun so far is done."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def names(self, operation: str) -> list[str]:
        """The names of the indexes of large users."""
        return [name for name in await _listed(self._connection, operation) if name.startswith(f"{self._index_name}{{")]

    async def close(self) -> None:
        """Stops the work under way; an index half made is finished by whoever needs it next."""
        for task in self._tasks.values():
            task.cancel()
        await self.settle()

    @property
    def _edge(self) -> float:
        return self._promote_at * _KEPT_SHARE

    def _start(self, keys: Keys, work: Callable[[], Awaitable[None]]) -> None:
        """Runs one piece of work for a user after the other."""
        task = asyncio.create_task(
            self._guarded(keys, work, self._tasks.get(keys.user)), name="router-memory-promotion"
        )
        self._tasks[keys.user] = task
        task.add_done_callback(lambda ended: self._ended(keys, ended))

    def _ended(self, keys: Keys, ended: asyncio.Task[None]) -> None:
        if self._tasks.get(keys.user) is ended:
            del self._tasks[keys.user]

    async def _guarded(
        self, keys: Keys, work: Callable[[], Awaitable[None]], before: asyncio.Task[None] | None
    ) -> None:
        try:
            if before is not None:
                await asyncio.wait([before])
            await work()
        except BackendError as error:
            _log.warning("index of a large user: %s", error)
            if (graph := self._graphs.get(keys.user)) is not None:
                graph.retry_at = monotonic() + _REFUSED_SECONDS

    async def _look(self, keys: Keys) -> None:
        try:
            vectors = await self._vectors(keys)
        except BackendError as error:  # as the search before it: an outage is told once, and not for each user
            _log.debug("whether a user is large could not be asked: %s", error)
            return
        finally:
            self._looking -= 1
        if vectors > self._promote_at:
            await self._promote(keys, self._graphs.setdefault(keys.user, _Graph()), vectors)

    async def _promote(self, keys: Keys, graph: _Graph, vectors: int) -> None:
        name = self.name_of(keys)
        async with self._making:  # one after the other, so that each counts those before it
            made = await self._made(keys, name, vectors)
        if not made:
            _log.warning("%d users have an HNSW index already: a further large one stays exact", self._most)
            graph.retry_at = monotonic() + _REFUSED_SECONDS
            return
        while not graph.ready and self._graphs.get(keys.user) is graph:  # else the user shrank, or the index is gone
            await asyncio.sleep(_POLL_SECONDS)
            self.observe(keys, await self._connection.command("promote", "FT.INFO", name, key=keys.meta))

    async def _made(self, keys: Keys, name: str, vectors: int) -> bool:
        """Makes the user's own index unless it is there; ``False`` when there are as many as there may be."""
        there = await self.names("promote")
        if name in there and await self._fits(keys, name):
            return True
        if name in there:  # made for another metric or prefix: it would give other cosines
            await self._demote(keys)
            there.remove(name)
        if len(there) >= self._most and not await self._reap(keys, there):
            return False
        await self._create(keys, name, vectors)
        if len(await self.names("promote")) <= self._most:
            return True
        await self._demote(keys)  # another process was at it as well; who sees too many gives way
        return False

    async def _fits(self, keys: Keys, name: str) -> bool:
        """Whether an index that is there was made as one would be made now."""
        reply = await self._connection.command("promote", "FT.INFO", name, key=keys.meta)
        with reading("promote", self._connection.location):
            info = parse_info(reply)
        found = (info.dimension, info.metric, info.algorithm, info.prefixes)
        return found == (self._dimension(), self._shape.metric, "HNSW", (keys.base,))

    async def _reap(self, keys: Keys, names: Sequence[str]) -> int:
        """Drops the indexes of users who are large no more, which a process that ended early has left behind."""
        dropped = 0
        for name in names:
            owner = Keys(keys.prefix, name[len(self._index_name) + 1 : -1])
            if await self._vectors(owner) < self._edge:
                await self._demote(owner)
                dropped += 1
        return dropped

    async def _vectors(self, keys: Keys) -> int:
        """How many vectors the user has."""
        reply = await self._connection.command("promote", "HGET", keys.meta, "vectors", key=keys.meta)
        with reading("promote", self._connection.location):
            return number(reply)

    async def _create(self, keys: Keys, name: str, vectors: int) -> None:
        command = create_promoted(name, keys.base, self._dimension(), self._shape, int(vectors * _HEADROOM))
        try:
            await self._connection.command("promote", *command, key=keys.meta)
        except IndexExists:
            return

    async def _demote(self, keys: Keys) -> None:
        try:
            await self._connection.command("demote", "FT.DROPINDEX", self.name_of(keys), key=keys.meta)
        except IndexMissing:
            return


async def _listed(connection: Connection, operation: str) -> list[str]:
    replies = await connection.command(operation, "FT._LIST", everywhere=True)
    return sorted({name.decode() for reply in replies.values() for name in reply})
