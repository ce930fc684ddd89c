"""The composition root: a configuration becomes objects. The only importer of backends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_memory.backends.bert import BertEmbedder
from router_memory.backends.embedded import EmbeddedStore
from router_memory.config import Config, load_config
from router_memory.config.own import MEMORY_PATH
from router_memory.errors import BackendError, BackendUnavailable, ConfigError, EmbeddingError, MissingExtra
from router_memory.pipeline.recall import Recall
from router_memory.pipeline.remember import Remember
from router_memory.plugin.access import AccessTracker
from router_memory.plugin.plugin import Plugin
from router_memory.plugin.request import Access
from router_memory.plugin.writes import WriteQueue
from router_memory.protocols import Embedder, MemoryStore
from router_memory.ranking import calibration_for
from router_memory.types import REACHABLE, CheckStatus, Finding

if TYPE_CHECKING:
    from router_memory.backends.valkey import Tls

__all__ = ["Assembly", "assemble"]


class Assembly:
    """Everything a configuration asks for, put together.

    `store`, `recall`, `remember` and `plugin` exist once `open` has returned, and stay after `close`, when
    they refuse to work. An assembly that failed to open, or was closed, can be opened again.

    Args:
        config: What is asked for.
        make_embedder: Makes the embedder, anew for each opening.
    """

    store: MemoryStore
    recall: Recall
    remember: Remember
    plugin: Plugin

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
            self.store = _store(self.config, embedder if identified else None)
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
                self._check_calibration(embedder.fingerprint)

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
        """What an operator should know of configuration, model and store. Nothing is opened, created or changed.

        Args:
            planned: For how many memories the space they will take is estimated; ``None`` for no estimate.

        Raises:
            ConfigError: The configuration does not fit the model.
            InvalidRequest: `planned` is no whole number from 1 up.
        """
        embedder = self._make_embedder()
        try:
            model, identified = await _examined_model(embedder)
            store = _store(self.config, embedder if identified else None)
            try:
                return (_examined_configuration(self.config), model, *await store.examine(planned=planned))
            except BackendError as error:
                name = REACHABLE if isinstance(error, BackendUnavailable) else "store"
                refused = Finding(name, CheckStatus.FAIL, error.message, error.hint)
                return (_examined_configuration(self.config), model, refused)
            finally:
                await store.close()
        finally:
            await embedder.close()

    def _check_calibration(self, model: str) -> None:
        if not calibration_for(model).fitted:
            rough = f"no similarity map was fitted for {model}: thresholds of the hybrid modes are rough"
            self.warnings = (*self.config.warnings, rough)

    def _build(self, embedder: Embedder) -> None:
        config = self.config
        self.recall = Recall(self.store, embedder)
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


def assemble(source: str | Path | Mapping[str, Any] | None) -> Assembly:
    """The parts for a configuration, not opened yet.

    Raises:
        ConfigError: The configuration is wrong.
    """
    config = load_config(source)
    embedding = config.memory.embedding
    return Assembly(
        config,
        lambda: BertEmbedder(
            config.memory.embedding_model,
            query_prefix=embedding.query_prefix,
            passage_prefix=embedding.passage_prefix,
            batch_size=embedding.batch_size,
            threads=embedding.threads,
        ),
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


def _store(config: Config, embedder: Embedder | None) -> MemoryStore:
    """The store of the configured backend, not opened; without an embedder it takes what it finds."""
    return _valkey(config, embedder) if config.backend == "valkey" else _embedded(config, embedder)


def _embedded(config: Config, embedder: Embedder | None) -> MemoryStore:
    embedded = config.memory.embedded
    return EmbeddedStore(
        config.data_path,
        dimension=embedder.dimension if embedder else None,
        fingerprint=embedder.fingerprint if embedder else None,
        promote_at=embedded.promote_at,
        cache_bytes=embedded.cache_mb * 1024 * 1024,
        busy_timeout_ms=embedded.busy_timeout_ms,
        synchronous=embedded.synchronous,
    )


def _valkey(config: Config, embedder: Embedder | None) -> MemoryStore:
    from router_memory.backends.valkey import Connection, ValkeyStore  # its client is loaded by those who use it

    valkey = config.memory.valkey
    if embedder is not None:
        _check_dimension(config, embedder)
    password = config.password("valkey")
    return ValkeyStore(
        Connection(
            addresses=valkey.servers,
            cluster=valkey.cluster,
            database=valkey.database,
            username=valkey.username,
            password=password.get_secret_value() if password else "",
            tls=_tls(config),
            timeout=valkey.timeout,
            read_from=valkey.read_from if valkey.cluster else "primary",
            client_name=valkey.client_name,
            search_clients=valkey.search_clients,
        ),
        dimension=embedder.dimension if embedder else None,
        fingerprint=embedder.fingerprint if embedder else None,
        prefix=valkey.collection_prefix,
        index_name=valkey.index_name,
        index_type=valkey.index_type,
        metric=valkey.metric_type,
        m=valkey.index_m,
        ef_construction=valkey.index_ef_construction,
        ef_runtime=valkey.ef_runtime,
        promote_at=valkey.promote_at,
        max_promoted=valkey.max_promoted,
    )


def _tls(config: Config) -> Tls | None:
    """The certificates, read now."""
    from router_memory.backends.valkey import Tls

    if not config.memory.valkey.tls_enabled:
        return None
    return Tls(
        ca=config.tls_pem("valkey", "tls_ca_path"),
        insecure=config.memory.valkey.tls_insecure_skip_verify,
        certificate=config.tls_pem("valkey", "client_cert_path"),
        key=config.tls_pem("valkey", "client_key_path"),
    )


def _check_dimension(config: Config, embedder: Embedder) -> None:
    """A dimension that stands in the file is a promise about the model; without one the model's is taken."""
    valkey = config.memory.valkey
    if "dimension" not in valkey.model_fields_set or valkey.dimension == embedder.dimension:
        return
    raise ConfigError(
        f"{valkey.dimension} is not the dimension of the model {config.memory.embedding_model!r}, "
        f"which is {embedder.dimension}",
        file=config.file,
        key_path=f"{MEMORY_PATH}.valkey.dimension",
        hint="remove the key: the model's dimension is taken",
    )
