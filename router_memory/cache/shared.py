"""Level 2 as requests meet it: a server that answers in time, or a miss."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.cache.codec import (
    Expired,
    Unreadable,
    decode,
    decode_vector,
    encode,
    encode_vector,
    epoch_of,
    weight,
)
from router_memory.cache.health import Health
from router_memory.cache.keys import query_key, vector_key, vectors_of
from router_memory.cache.local import jittered
from router_memory.cache.look import Look
from router_memory.cache.lull import Lull
from router_memory.cache.odds import Odds
from router_memory.cache.purges import Purges
from router_memory.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from router_memory.cache.embedder import CachedEmbedder
    from router_memory.cache.meters import Meters
    from router_memory.protocols import Embedder, HotCache
    from router_memory.types import Looked, Retrieval, Scope, SearchQuery

__all__ = ["SharedCache"]

_log = logging.getLogger("router_memory.cache")

_BACKGROUND = 64
"""Most values that wait to be written; further ones are not kept."""
_BACKGROUND_SECONDS = 1.0
_LAST_SECONDS = 0.25
_LARGE_BYTES = 512 * 1024
"""Answers from this weight on are encoded on a thread."""


class SharedCache:
    """Answers and query vectors on a server, for requests: no call raises or waits longer than `timeout`.

    Args:
        server: The server, not opened yet. This opens and closes it.
        embedder: Makes the vectors; it must be identified before the first look.
        timeout: The longest a look may take, in seconds.
        ttl: How long answers live, in seconds.
        vector_ttl: How long query vectors live, in seconds; 0 keeps none.
        meters: Counts what happens.

    Attributes:
        server: The server.
        timeout: As given.
        odds: Of a hit.
        lull: Of requests that level 1 has no answer to: values are written when none is under way.
    """

    def __init__(
        self,
        server: HotCache,
        *,
        embedder: Embedder,
        timeout: float,
        ttl: float,
        vector_ttl: float,
        meters: Meters,
    ) -> None:
        self.server = server
        self._embedder = embedder
        self.timeout = timeout
        self._ttl = ttl
        self._vector_ttl = vector_ttl
        self._meters = meters
        self.odds = Odds()
        self._health = Health(server, meters=meters)
        self._purges = Purges(server, ttl=ttl, health=self._health, meters=meters)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.lull = Lull()

    async def open(self) -> None:
        """Makes the clients, and has them connect meanwhile.

        Raises:
            BackendError: The settings do not fit together.
        """
        await self.server.open()
        self._closed, self.lull = False, Lull()
        self._purges.open()
        self._begin(self._health.probe(_BACKGROUND_SECONDS))

    async def close(self) -> None:
        """Ends what is under way after a moment; what is to be forgotten is tried once more, for a second at most."""
        self._closed = True
        self._purges.end()
        self.lull.end()
        if self._tasks and self._health.good:  # a process that answers one question is to leave its answer
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)
        tasks = [*self._tasks, *self._purges.under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._purges.close()
        await self.server.close()

    @property
    def breaker(self) -> str:
        """``closed``, or ``open`` while the server is kept off the path."""
        return "closed" if self._health.good else "open"

    @property
    def keeps_vectors(self) -> bool:
        """Whether there are query vectors on the server."""
        return self._vector_ttl > 0

    @property
    def _fingerprint(self) -> str:
        return vectors_of(self._embedder)

    def key(self, query: SearchQuery) -> bytes:
        """What a question is kept under."""
        return query_key(query, self._fingerprint)

    # -- answers

    def look_for(self, query: SearchQuery, embedder: CachedEmbedder) -> Look:
        """A look for the answer to a question, not begun."""
        return Look(self, embedder, query)

    async def look(self, query: SearchQuery, key: bytes, *, text: str | None = None) -> Looked | None:
        """What the server has for a question; ``None`` when it did not say.

        Args:
            query: The question.
            key: Its key.
            text: A query whose vector is wanted as well.
        """
        if not self._usable():
            return None
        began = perf_counter()
        vector = None if text is None or not self._vector_ttl else vector_key(text, self._fingerprint)
        try:
            looked = await self.server.get(query.scope.user_digest, key, vector=vector, within=self.timeout)
        except BackendError as error:
            self._health.failed("look", error, asked=(query.scope.user_digest, key))
            return None
        self._health.answered()
        self._meters.time("look", began)
        return looked

    def read(self, looked: Looked | None, query: SearchQuery, key: bytes, epoch: str) -> Retrieval | None:
        """The answer that a look brought, if it is one to this question in this state of the data.

        Args:
            looked: What the look brought.
            query: The question.
            key: Its key.
            epoch: The user's current one.
        """
        if looked is None or looked.value is None:
            return None
        try:
            if epoch_of(looked.value, key) != epoch:
                self._meters.count("level 2.dead")
                return None
            return decode(looked.value, key, query.scope)
        except Expired:
            self._meters.count("level 2.expired")
            return None
        except Unreadable as error:
            self._meters.count("level 2.unreadable")
            self._health.complain("unreadable", "%s: a value cannot be used: %s", self.server.location, error)
            return None

    def keep(self, query: SearchQuery, key: bytes, retrieval: Retrieval, lease: bytes) -> None:
        """Writes an answer in the background.

        Args:
            query: The question.
            key: Its key.
            retrieval: The answer, coherent and whole.
            lease: As the look gave it that found nothing.
        """
        if self._health.good:
            self._begin(self._keep(query, key, retrieval, lease))

    async def _keep(self, query: SearchQuery, key: bytes, retrieval: Retrieval, lease: bytes) -> None:
        await self.lull.comes()
        began = perf_counter()
        ttl = jittered(self._ttl)
        try:
            if weight(retrieval) > _LARGE_BYTES:
                value = await asyncio.to_thread(encode, retrieval, key, ttl=ttl)
            else:
                value = encode(retrieval, key, ttl=ttl)
            kept = await self.server.put(
                query.scope.user_digest,
                key,
                value,
                epoch=retrieval.epoch,
                lease=lease,
                ttl=ttl,
                within=_BACKGROUND_SECONDS,
            )
        except Unreadable as error:
            self._meters.count("fill.unfit")
            self._health.complain("unfit", "an answer cannot be written down: %s", error)
        except BackendError as error:
            self._health.failed("fill", error)
        else:
            self._meters.count("fill.kept" if kept else "fill.refused")
            self._meters.count("fill.bytes", len(value) if kept else 0)
            self._meters.time("fill", began)

    # -- vectors

    async def look_vector(self, text: str, *, within: float) -> NDArray[np.float32] | None:
        """The vector of a query; ``None`` when there is none or the server did not say.

        Args:
            text: The query.
            within: Seconds, at most those that a look may take.
        """
        if not self._vector_ttl or not self._usable():
            return None
        key = vector_key(text, self._fingerprint)
        try:
            raw = await self.server.get_vector(key, within=min(within, self.timeout))
        except BackendError as error:
            self._health.failed("look", error)
            return None
        self._health.answered()
        return self.read_vector(raw, text)

    def read_vector(self, raw: bytes | None, text: str) -> NDArray[np.float32] | None:
        """The vector of a query, if that is what the bytes are."""
        if raw is None:
            return None
        try:
            return decode_vector(raw, vector_key(text, self._fingerprint), self._embedder.dimension)
        except Unreadable as error:
            self._meters.count("level 2.unreadable")
            self._health.complain("unreadable", "%s: a vector cannot be used: %s", self.server.location, error)
            return None

    def keep_vector(self, text: str, vector: NDArray[np.float32]) -> None:
        """Writes the vector of a query in the background."""
        if self._vector_ttl and self._health.good:
            key = vector_key(text, self._fingerprint)
            self._begin(self._keep_vector(key, encode_vector(vector, key)))

    async def _keep_vector(self, key: bytes, value: bytes) -> None:
        await self.lull.comes()
        try:
            await self.server.put_vector(key, value, ttl=jittered(self._vector_ttl), within=_BACKGROUND_SECONDS)
        except BackendError as error:
            self._health.failed("fill", error)

    # -- forgetting

    async def purge(self, scope: Scope) -> None:
        """Takes away everything of a user.

        A server that does not answer in time is asked again in the background until it does, or until the entries
        have ended by themselves. They answer nothing meanwhile, for their epoch is not the current one.
        """
        await self._purges.purge(scope.user_digest, within=self.timeout)

    async def purge_now(self, scope: Scope) -> None:
        """The same for operators, who want to know.

        Raises:
            BackendError: The server did not do it.
        """
        await self._purges.purge_now(scope.user_digest)

    # -- the server and the background

    def _usable(self) -> bool:
        """Whether a request may ask. While it may not, the server is asked beside it from time to time."""
        if self._health.good:
            return True
        self._meters.count("level 2.skipped")
        if self._health.is_due():
            self._begin(self._health.probe(self.timeout))
        return False

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        if self._closed:
            work.close()
            return
        if len(self._tasks) >= _BACKGROUND:
            self._meters.count("fill.dropped")
            work.close()
            return
        task = asyncio.create_task(work, name="router-memory-cache")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the cache failed in the background", exc_info=error)
