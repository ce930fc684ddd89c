"""The store that a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from router_memory.backends.embedded import EmbeddedStore
from router_memory.config.own import MEMORY_PATH
from router_memory.errors import ConfigError

if TYPE_CHECKING:
    from router_memory.backends.valkey import Tls
    from router_memory.config import Config
    from router_memory.protocols import Embedder, MemoryStore

__all__ = ["store_of", "tls_of"]


def store_of(config: Config, embedder: Embedder | None) -> MemoryStore:
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
            tls=tls_of(config, "valkey"),
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
        decoded_bytes=valkey.decoded_mb * 1024 * 1024,
    )


def tls_of(config: Config, server: Literal["valkey", "redis_cache"]) -> Tls | None:
    """The certificates of a server, read now; ``None`` when its connection is not encrypted."""
    from router_memory.backends.valkey import Tls

    section = config.memory.valkey if server == "valkey" else config.memory.redis_cache
    if not section.tls_enabled:
        return None
    return Tls(
        ca=config.tls_pem(server, "tls_ca_path"),
        insecure=section.tls_insecure_skip_verify,
        certificate=config.tls_pem(server, "client_cert_path"),
        key=config.tls_pem(server, "client_key_path"),
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
