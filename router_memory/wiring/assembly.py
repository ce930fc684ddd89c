"""Everything a configuration asks for, put together, and its life."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from router_memory.cache import PURGE_NOW_SECONDS
from router_memory.config import Config
from router_memory.errors import BackendError, BackendUnavailable, EmbeddingError, MissingExtra
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.remember import Remember
from router_memory.pipeline.retrieval import DirectRetriever
from router_memory.plugin.access import AccessTracker
from router_memory.plugin.plugin import Plugin
from router_memory.plugin.request import Access
from router_memory.plugin.writes import WriteQueue
from router_memory.protocols import Embedder, HotCache, MemoryStore
from router_memory.ranking import calibration_for
from router_memory.types import REACHABLE, CacheServerStats, CheckStatus, Finding, Scope
from router_memory.wiring.caches import Caches, hot_cache_of
from router_memory.wiring.model import runtime_finding
from router_memory.wiring.stores import store_of

__all__ = ["Assembly"]


class Assembly:
    """Everything a configuration asks for, put together.

    `store`, `embedder`, `recall`, `remember` and `plugin` exist once `open` has returned, `caches` too where the hot
    cache is enabled. They stay after `close`, when they refuse to work. An assembly that failed to open, or was
    closed, can be opened again.

    Args:
        config: What is asked for.
        make_embedder: Makes the embedder, anew for each opening.
    """

    store: MemoryStore
    embedder: Embedder
    recall: Recall
    remember: Remember
    plugin: Plugin
    caches: Caches | None = None

    def __init__(self, config: Config, make_embedder: Callable[[], Embedder]) -> None:
        self.config = config
        self.counters: Counter[str] = Counter()
        self.warnings = config.warnings
        self.opened = False
        self._make_embedder = make_embedder
        self._closing = AsyncExitStack()
        self._end: asyncio.Task[None] | None = None

    async def open(self, *, warm: bool = True) -> None:
        """Opens the store and, with `warm`, loads the model; else its first use does.

        A configuration in which no decision uses memory loads no model either. Without `warm` a model that is
        not there is no hindrance: what needs no embedding works.
        """
        if self.opened:
            return
        async with AsyncExitStack() as undo:
            embedder = self._make_embedder()
            undo.push_async_callback(embedder.close)
            identified = await _identified(embedder, required=warm)
            store = store_of(self.config, embedder if identified else None)
            self.caches = None
            if self.config.memory.redis_cache.enabled:
                self.caches = Caches.of(self.config, store, embedder, self.counters)
                undo.push_async_callback(self.caches.close)
                await self.caches.open()
                store, embedder = self.caches.store, self.caches.embedder
            self.store = store
            undo.push_async_callback(self.store.close)
            opening = [self.store.open()]
            if warm and self.config.any_enabled:
                opening.append(embedder.open())
            await asyncio.gather(*opening)
            self._build(embedder)
            undo.push_async_callback(self.plugin.close, self.config.memory.write.drain_seconds)
            self._closing = undo.pop_all()
            self.opened = True
            if identified:
                self._check_calibration(embedder.fingerprint, embedder.runtime)

    async def close(self) -> None:
        """Writes what is queued and releases everything, also where a part of it fails.

        Idempotent; concurrent calls wait for the same end, and a cancelled one does not stop it.
        """
        if self.opened:
            self.opened = False
            self._end = asyncio.create_task(self._closing.aclose(), name="router-memory-close")
        if self._end is not None:
            await asyncio.shield(self._end)

    async def examine(self, *, planned: int | None = None) -> tuple[Finding, ...]:
        """What an operator should know of configuration, model, store and cache. Nothing is opened, created or changed.

        Args:
            planned: For how many memories the space they will take is estimated; ``None`` for no estimate.

        Raises:
            ConfigError: The configuration does not fit the model.
            InvalidRequest: `planned` is no whole number from 1 up.
        """
        embedder = self._make_embedder()
        try:
            model, identified = await _examined_model(embedder)
            store = store_of(self.config, embedder if identified else None)
            try:
                found = await store.examine(planned=planned)
            except BackendError as error:
                name = REACHABLE if isinstance(error, BackendUnavailable) else "store"
                found = (Finding(name, CheckStatus.FAIL, error.message, error.hint),)
            finally:
                await store.close()
            runtime = (await asyncio.to_thread(runtime_finding, self.config, embedder),) if identified else ()
            return (_examined_configuration(self.config), model, *runtime, *found, *await self._examined_cache())
        finally:
            await embedder.close()

    async def cache_server_stats(self) -> CacheServerStats | None:
        """What the shared cache's server holds, whether anything is open here or not; ``None`` without one.

        Raises:
            BackendError: The server cannot be asked.
        """
        async with self._cache_server() as server:
            return None if server is None else await server.stats()

    async def clear_cache(self, scope: Scope | None = None) -> int:
        """Takes away what is cached, of one user or of all; see `Caches.clear`. Opens nothing but the cache's server.

        Raises:
            BackendError: The server did not do it.
        """
        if self.opened and self.caches is not None:
            return await self.caches.clear(scope)
        async with self._cache_server() as server:
            if server is None:
                return 0
            if scope is None:
                return await server.clear()
            await server.purge(scope.user_digest, within=PURGE_NOW_SECONDS)
            return 0

    @asynccontextmanager
    async def _cache_server(self) -> AsyncIterator[HotCache | None]:
        server = hot_cache_of(self.config)
        if server is None:
            yield None
            return
        await server.open()
        try:
            yield server
        finally:
            await server.close()

    async def _examined_cache(self) -> tuple[Finding, ...]:
        try:
            async with self._cache_server() as server:
                return () if server is None else await server.examine()
        except BackendError as error:  # no failure: requests go on without it
            return (Finding("cache", CheckStatus.WARN, error.message, error.hint),)

    def _check_calibration(self, model: str, runtime: str) -> None:
        if not calibration_for(model, runtime).fitted:
            rough = f"no similarity map was fitted for {model}: thresholds of the hybrid modes are rough"
            self.warnings = (*self.config.warnings, rough)

    def _build(self, embedder: Embedder) -> None:
        config = self.config
        self.embedder = embedder
        retriever = DirectRetriever(self.store, embedder) if self.caches is None else self.caches.retriever
        self.recall = Recall(retriever, lambda: calibration_for(embedder.fingerprint, embedder.runtime))
        self.remember = Remember(self.store, embedder, config.write_policy)
        self.plugin = Plugin(
            policy_of=lambda decision: (config.policy(decision), config.knows(decision)),
            access=Access(
                user_header=config.memory.identity.user_header,
                opt_out_header=config.memory.identity.opt_out_header,
                disabled_routes=frozenset(config.memory.disabled_routes),
                disabled_models=frozenset(config.memory.disabled_models),
            ),
            recall=self.recall,
            writes=WriteQueue(self.remember, size=config.memory.write.queue_size, counters=self.counters),
            tracker=AccessTracker(self.store, counters=self.counters),
            write_policy=config.write_policy,
            deadline_seconds=config.memory.deadline_ms / 1000,
            counters=self.counters,
        )


async def _identified(embedder: Embedder, *, required: bool) -> bool:
    try:
        await embedder.identify()
    except (EmbeddingError, MissingExtra):
        if required:
            raise
        return False
    return True


async def _examined_model(embedder: Embedder) -> tuple[Finding, bool]:
    """What is to be known of the model, and whether it was identified."""
    try:
        await embedder.identify()
    except (EmbeddingError, MissingExtra) as error:
        return Finding("model", CheckStatus.WARN, f"{error.message}; searching and storing need it", error.hint), False
    data = {"fingerprint": embedder.fingerprint, "dimension": embedder.dimension}
    name = embedder.fingerprint.split("/")[0]
    return Finding("model", CheckStatus.OK, f"{name} is there, {embedder.dimension} dimensions", data=data), True


def _examined_configuration(config: Config) -> Finding:
    data: dict[str, object] = {"file": config.file, "warnings": list(config.warnings)}
    if config.warnings:
        advice = "remove what has no effect, or read docs/configuration.md"
        return Finding("configuration", CheckStatus.WARN, "; ".join(config.warnings), advice, data)
    return Finding("configuration", CheckStatus.OK, f"{config.file} is valid, backend {config.backend}", data=data)
