"""An embedder that remembers the vectors of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import TTLCache

from router_memory.cache.flights import Flights
from router_memory.cache.keys import KEY_BYTES, vector_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from router_memory.cache.meters import Meters
    from router_memory.cache.shared import SharedCache
    from router_memory.protocols import Embedder

__all__ = ["CachedEmbedder"]

_HANDED_OVER = 64
"""Vectors of the server that are at hand while the requests that fetched them are under way, whatever else is kept."""
_HAND_OVER_SECONDS = 1.0


class CachedEmbedder:
    """Asks the model only for what nobody asked lately, or is asking; implements `Embedder`.

    Of the texts only digests are kept.

    Args:
        embedder: The model.
        shared: Keeps vectors for every process; ``None`` for this one alone.
        entries: How many vectors are kept in the process; with 0 those alone that come from the server, for a moment.
        ttl: For how many seconds; 0 keeps none.
        meters: Counts what happens.
    """

    def __init__(
        self, embedder: Embedder, *, shared: SharedCache | None, entries: int, ttl: float, meters: Meters
    ) -> None:
        self._embedder = embedder
        self._shared = shared
        self._keeps = entries > 0 and ttl > 0
        size, seconds = (entries, ttl) if self._keeps else (_HANDED_OVER, _HAND_OVER_SECONDS)
        self._vectors: TTLCache[bytes, NDArray[np.float32]] = TTLCache(size, seconds)
        self._flights: Flights[bytes, NDArray[np.float32]] = Flights("router-memory-embed")
        self._foreseen: set[bytes] = set()  # being embedded for one who has not asked yet
        self._meters = meters

    @property
    def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return self._embedder.dimension

    @property
    def fingerprint(self) -> str:
        """See `Embedder.fingerprint`."""
        return self._embedder.fingerprint

    @property
    def runtime(self) -> str:
        """See `Embedder.runtime`."""
        return self._embedder.runtime

    @property
    def nbytes(self) -> int:
        """What the vectors in the process take with their keys, in bytes."""
        vector = next(iter(self._vectors.values()), None)  # they are all of one size
        return 0 if vector is None else len(self._vectors) * (vector.nbytes + KEY_BYTES)

    def __len__(self) -> int:
        return len(self._vectors)

    async def identify(self) -> None:
        """See `Embedder.identify`."""
        await self._embedder.identify()

    async def open(self) -> None:
        """See `Embedder.open`."""
        await self._embedder.open()

    async def close(self) -> None:
        """See `Embedder.close`."""
        self.clear()
        await self._embedder.close()

    def has(self, text: str) -> bool:
        """Whether the vector of a query is at hand."""
        return _key(text) in self._vectors

    def offer(self, text: str, raw: bytes | None) -> None:
        """Takes what the server had for a query, so that `embed_query` finds it at hand; ``None`` for nothing."""
        if self._shared is not None and (vector := self._shared.read_vector(raw, text)) is not None:
            self._vectors[_key(text)] = vector

    async def prefetch(self, text: str, *, within: float) -> None:
        """Asks the server for the vector of a query, to the same end.

        Args:
            text: The query.
            within: Seconds.
        """
        if self._shared is not None and not self.has(text):
            vector = await self._shared.look_vector(text, within=within)
            if vector is not None:
                self._vectors[_key(text)] = vector

    async def foresee(self, text: str) -> None:
        """Embeds a query that is likely to be asked for at once; given up with the call, unless that has come."""
        key = _key(text)
        if key in self._vectors or self._flights.get(key) is not None:
            return
        self._foreseen.add(key)
        try:
            await self._flights.begin(key, self._embed(text, key)).answer()
        except Exception:  # noqa: BLE001 - it is told to those who ask for the vector
            return
        finally:
            self._foreseen.discard(key)

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """See `Embedder.embed_query`. A vector that is at hand is given without waiting for anything."""
        key = _key(text)
        vector = self._vectors.get(key)
        if vector is not None:
            self._meters.count("vector.hit")
            return vector.copy()
        flight = self._flights.get(key)
        if flight is not None:
            if key in self._foreseen:
                self._foreseen.discard(key)  # the first who asks is the one whom it is for
            else:
                self._meters.count("vector.joined")
            return (await flight.answer()).copy()
        return (await self._flights.begin(key, self._embed(text, key)).answer()).copy()

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `Embedder.embed_passages`."""
        return await self._embedder.embed_passages(texts)

    def backlog_seconds(self, text: str = "") -> float:
        """See `Embedder.backlog_seconds`; 0 for a query whose vector is at hand, or being made for who asks."""
        if text and ((key := _key(text)) in self._vectors or key in self._foreseen):
            return 0.0
        return self._embedder.backlog_seconds(text)

    def clear(self) -> int:
        """Forgets every vector in the process. Returns how many there were."""
        count = len(self._vectors)
        self._vectors.clear()
        return count

    async def _embed(self, text: str, key: bytes) -> NDArray[np.float32]:
        self._meters.count("vector.miss")
        vector = await self._embedder.embed_query(text)
        if self._keeps:
            self._vectors[key] = vector
        if self._shared is not None:
            self._shared.keep_vector(text, vector)
        return vector


def _key(text: str) -> bytes:
    return vector_key(text, "")
