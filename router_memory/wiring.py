"""The composition root: a configuration becomes objects. The only importer of backends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router_memory.backends.bert import BertEmbedder
from router_memory.backends.embedded import EmbeddedStore
from router_memory.config import Config, load_config
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.remember import Remember
from router_memory.plugin.access import AccessTracker
from router_memory.plugin.plugin import Plugin
from router_memory.plugin.request import Access
from router_memory.plugin.writes import WriteQueue
from router_memory.protocols import Embedder, MemoryStore
from router_memory.ranking import calibration_for

__all__ = ["Assembly", "assemble"]


class Assembly:
    """Everything a configuration asks for, put together.

    `store`, `recall`, `remember` and `plugin` exist once `open` has returned.
    """

    store: MemoryStore
    recall: Recall
    remember: Remember
    plugin: Plugin

    def __init__(self, config: Config, embedder: Embedder) -> None:
        self.config = config
        self.embedder = embedder
        self.counters: Counter[str] = Counter()
        self.warnings = config.warnings
        self._opened = False

    async def open(self, *, warm: bool = True) -> None:
        """Opens the store and, with `warm`, loads the model; else its first use does.

        A configuration in which no decision uses memory loads no model either.
        """
        try:
            await self.embedder.identify()
            self._check_calibration()
            self.store = _store(self.config, self.embedder)
            self._build()
            self._opened = True
            opening = [self.store.open()]
            if warm and self.config.any_enabled:
                opening.append(self.embedder.open())
            await asyncio.gather(*opening)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Writes what is queued and releases everything. Idempotent."""
        if self._opened:
            self._opened = False
            await self.plugin.close(self.config.memory.write.drain_seconds)
            await self.store.close()
        await self.embedder.close()

    def _check_calibration(self) -> None:
        if not calibration_for(self.embedder.fingerprint).fitted:
            model = self.embedder.fingerprint
            self.warnings += (f"no similarity map was fitted for {model}: thresholds of the hybrid modes are rough",)

    def _build(self) -> None:
        config = self.config
        self.recall = Recall(self.store, self.embedder)
        self.remember = Remember(self.store, self.embedder, config.write_policy)
        writes = WriteQueue(self.remember, size=config.memory.write.queue_size, counters=self.counters)
        self.plugin = Plugin(
            policy_of=lambda decision: (config.policy(decision), config.knows(decision)),
            access=Access(
                user_header=config.memory.identity.user_header,
                opt_out_header=config.memory.identity.opt_out_header,
                disabled_routes=frozenset(config.memory.disabled_routes),
                disabled_models=frozenset(config.memory.disabled_models),
            ),
            recall=self.recall,
            writes=writes,
            tracker=AccessTracker(self.store, counters=self.counters),
            write_policy=config.write_policy,
            backlog_seconds=self.embedder.backlog_seconds,
            deadline_seconds=config.memory.deadline_ms / 1000,
            counters=self.counters,
        )


def assemble(source: str | Path | Mapping[str, Any] | None) -> Assembly:
    """The parts for a configuration, not opened yet.

    Raises:
        ConfigError: The configuration is wrong.
    """
    config = load_config(source)
    embedding = config.memory.embedding
    embedder = BertEmbedder(
        config.memory.embedding_model,
        query_prefix=embedding.query_prefix,
        passage_prefix=embedding.passage_prefix,
        batch_size=embedding.batch_size,
        threads=embedding.threads,
    )
    return Assembly(config, embedder)


def _store(config: Config, embedder: Embedder) -> MemoryStore:
    embedded = config.memory.embedded
    return EmbeddedStore(
        config.data_path,
        dimension=embedder.dimension,
        fingerprint=embedder.fingerprint,
        promote_at=embedded.promote_at,
        cache_bytes=embedded.cache_mb * 1024 * 1024,
        busy_timeout_ms=embedded.busy_timeout_ms,
        synchronous=embedded.synchronous,
    )
