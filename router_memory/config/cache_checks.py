"""How the hot cache fits in: what it must not share with the store, and which of its keys have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router_memory.config.own import MEMORY_PATH
from router_memory.config.server_checks import check_user, tls_warnings
from router_memory.config.servers import RedisCacheSection, ServerSection, ValkeySection

if TYPE_CHECKING:
    from router_memory.config.model import MemorySection
    from router_memory.config.problems import Problems

__all__ = ["cache_warnings", "check_cache"]

_PATH = f"{MEMORY_PATH}.redis_cache"
_OF_A_SERVER = (*ServerSection.model_fields, "cluster", "db", "key_prefix", "client_name", "cache_timeout_ms")
_LOOPBACK = {"127.0.0.1": "localhost", "::1": "localhost"}


def check_cache(memory: MemorySection, problems: Problems) -> None:
    """Adds what is wrong with an enabled cache to `problems`."""
    cache = memory.redis_cache
    if not cache.enabled:
        return
    if memory.backend == "valkey":
        _check_database(cache, memory.valkey, problems)
        _check_reads(memory.valkey, problems)
    if cache.server:
        check_user(cache, _PATH, problems)


def _check_database(cache: RedisCacheSection, store: ValkeySection, problems: Problems) -> None:
    """Clearing the cache must not touch a memory, nor may the store's index hold what is cached."""
    if cache.db != store.database:
        return
    same_server = _is_one_of(cache, store)
    if same_server and not (cache.cluster or store.cluster):
        problems.add(
            f"{_PATH}.db",
            f"database {cache.db} of this server is the store's own",
            f"give the cache another one, such as db: {cache.db + 1}",
        )
    # Two clusters may be one: each section names some nodes only.
    one_cluster = same_server or (cache.cluster and store.cluster)
    if one_cluster and (cache.cluster or store.cluster) and _overlap(cache.key_prefix, store.collection_prefix):
        problems.add(
            f"{_PATH}.key_prefix",
            f"{cache.key_prefix!r} overlaps with {store.collection_prefix!r}, "
            f"the collection_prefix of the store, in database {cache.db} of a cluster",
            "choose two prefixes of which neither starts with the other, such as memory_cache: and mem:",
        )


def _check_reads(store: ValkeySection, problems: Problems) -> None:
    """A replica may lag behind the epoch that the primary names, so that its answer would be kept as a newer one."""
    if store.cluster and store.read_from == "prefer_replica":
        problems.add(
            f"{MEMORY_PATH}.valkey.read_from",
            "answers of replicas must not be cached: they may lack what was written before",
            "set read_from: primary, or redis_cache.enabled: false",
        )


def cache_warnings(memory: MemorySection) -> list[str]:
    """What loads and will surprise somebody; nothing about a cache that is off."""
    cache = memory.redis_cache
    if not cache.enabled:
        return []
    found = _server_warnings(memory) if cache.server else _unused_server_keys(cache)
    if cache.coherence == "strict" and "epoch_max_age_ms" in cache.model_fields_set:
        found.append(f"{_PATH}.epoch_max_age_ms: has no effect without coherence: bounded")
    if not cache.local_mb and "local_entries" in cache.model_fields_set:
        found.append(f"{_PATH}.local_entries: has no effect with local_mb: 0")
    return found


def _unused_server_keys(cache: RedisCacheSection) -> list[str]:
    fields = RedisCacheSection.model_fields
    changed = [key for key in fields if key in _OF_A_SERVER and getattr(cache, key) != fields[key].default]
    return [f"{_PATH}.{key}: has no effect without an address" for key in changed]


def _server_warnings(memory: MemorySection) -> list[str]:
    cache, store = memory.redis_cache, memory.valkey
    found = tls_warnings(cache, _PATH)
    if memory.backend == "valkey" and cache.cluster != store.cluster and _is_one_of(cache, store):
        found.append(f"{_PATH}.cluster: {MEMORY_PATH}.valkey.cluster says otherwise of the same server")
    if cache.cache_timeout_ms >= memory.deadline_ms:
        found.append(f"{_PATH}.cache_timeout_ms: not below deadline_ms, so a slow cache uses up a request's whole time")
    return found


def _is_one_of(cache: RedisCacheSection, store: ValkeySection) -> bool:
    return cache.server is not None and _normal(cache.server) in map(_normal, store.servers)


def _normal(server: tuple[str, int]) -> tuple[str, int]:
    host = server[0].lower()
    return _LOOPBACK.get(host, host), server[1]


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
