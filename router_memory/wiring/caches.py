"""The hot cache that a configuration asks for, put before a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.cache import CachedEmbedder, CachedStore, Epochs, LocalCache, Meters, SharedCache
from router_memory.pipeline.cached import CachedRetriever
from router_memory.pipeline.retrieval import DirectRetriever
from router_memory.types import CacheStats
from router_memory.wiring.stores import tls_of

if TYPE_CHECKING:
    from collections import Counter

    from router_memory.config import Config
    from router_memory.protocols import Embedder, HotCache, MemoryStore
    from router_memory.types import Scope

__all__ = ["Caches", "hot_cache_of"]

_BYTES_A_VECTOR = 4_096
_VECTOR_SHARE = 8
"""One part in so many of level 1 is for the vectors of queries."""
_CONNECT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Caches:
    """The hot cache of a process, with what it wraps.

    Attributes:
        store: The store to use.
        embedder: The embedder to use.
        retriever: Looks up candidates through the cache.
        local: Level 1.
        shared: Level 2; ``None`` when there is none.
        meters: What happened.
        coherence: As configured.
    """

    store: CachedStore
    embedder: CachedEmbedder
    retriever: CachedRetriever
    local: LocalCache
    shared: SharedCache | None
    meters: Meters
    coherence: str

    @classmethod
    def of(cls, config: Config, store: MemoryStore, embedder: Embedder, counters: Counter[str]) -> Caches:
        """The cache before a store and an embedder, not opened."""
        cache = config.memory.redis_cache
        meters = Meters(counters)
        bounded = cache.coherence == "bounded"
        epochs = Epochs(store, max_age=cache.epoch_max_age_ms / 1000 if bounded else 0.0)
        room = cache.local_mb * 1024 * 1024
        local = LocalCache(
            most_bytes=room - room // _VECTOR_SHARE,
            most_entries=cache.local_entries,
            ttl=float(cache.ttl_seconds),
            meters=meters,
        )
        server = hot_cache_of(config)
        shared = None
        if server is not None:
            shared = SharedCache(
                server,
                embedder=embedder,
                timeout=cache.cache_timeout_ms / 1000,
                ttl=float(cache.ttl_seconds),
                vector_ttl=float(cache.embedding_ttl_seconds),
                meters=meters,
            )
        wrapped = CachedEmbedder(
            embedder,
            shared=shared,
            entries=room // _VECTOR_SHARE // _BYTES_A_VECTOR,
            ttl=float(cache.embedding_ttl_seconds),
            meters=meters,
        )
        seen = CachedStore(store, epochs=epochs, local=local, shared=shared)
        retriever = CachedRetriever(
            DirectRetriever(seen, wrapped), embedder=wrapped, epochs=epochs, local=local, shared=shared, meters=meters
        )
        return cls(seen, wrapped, retriever, local, shared, meters, cache.coherence)

    async def open(self) -> None:
        """Makes the clients of level 2; a server that is away is no error."""
        if self.shared is not None:
            await self.shared.open()

    async def close(self) -> None:
        """Releases everything."""
        if self.shared is not None:
            await self.shared.close()
        self.local.clear()
        self.embedder.clear()

    def stats(self) -> CacheStats:
        """What the process has seen."""
        return CacheStats(
            coherence=self.coherence,
            entries=len(self.local),
            vectors=len(self.embedder),
            bytes=self.local.bytes + self.embedder.nbytes,
            counts=self.meters.counts(),
            latencies=self.meters.latencies(),
            breaker="" if self.shared is None else self.shared.breaker,
        )

    async def clear(self, scope: Scope | None) -> int:
        """Takes away what is cached, of one user or of all, in this process and on the server.

        Returns:
            How many answers, vectors and keys there were; of one user how many answers in the process.

        Raises:
            BackendError: The server did not do it.
        """
        if scope is None:
            count = self.local.clear() + self.embedder.clear()
            return count + (await self.shared.server.clear() if self.shared is not None else 0)
        count = self.local.purge(scope)
        if self.shared is not None:
            await self.shared.purge_now(scope)
        return count


def hot_cache_of(config: Config) -> HotCache | None:
    """Level 2 of a configuration, not opened; ``None`` when it has none."""
    cache = config.memory.redis_cache
    if not cache.enabled or cache.server is None:
        return None
    from router_memory.backends.valkey import Connection, ValkeyCache  # its client is loaded by those who use it

    password = config.password("redis_cache")
    connection = Connection(
        addresses=(cache.server,),
        cluster=cache.cluster,
        database=cache.db,
        username=cache.username,
        password=password.get_secret_value() if password else "",
        tls=tls_of(config, "redis_cache"),
        timeout=max(_CONNECT_SECONDS, cache.cache_timeout_ms / 1000),
        client_name=cache.client_name,
        search_clients=0,
    )
    return ValkeyCache(connection, prefix=cache.key_prefix, lease_seconds=float(cache.ttl_seconds))
