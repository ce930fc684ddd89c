"""What one model cannot see: how sections fit together, and what is worth a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router_memory.config.model import MemorySection
from router_memory.config.nearest import nearest
from router_memory.config.not_yet import not_yet_warnings
from router_memory.config.own import MEMORY_PATH
from router_memory.config.plugin_model import PluginSection
from router_memory.config.problems import Problems
from router_memory.config.servers import ValkeySection, host_and_port
from router_memory.types import DecisionPolicy, RankingMode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BACKENDS", "check_sections", "collect_warnings"]

BACKENDS = ("embedded", "valkey")
_EMBEDDED = BACKENDS[0]
_TLS_KEYS = ("tls_ca_path", "tls_insecure_skip_verify", "client_cert_path", "client_key_path")
_LOOPBACK = {"127.0.0.1": "localhost", "::1": "localhost"}


def check_sections(memory: MemorySection, problems: Problems) -> None:
    """Adds what is wrong between sections to `problems`."""
    _check_databases(memory, problems)
    _check_user(memory, problems)
    _check_backend(memory.backend or _EMBEDDED, problems)


def _check_backend(backend: str, problems: Problems) -> None:
    if backend in BACKENDS:
        return
    match = nearest(backend, BACKENDS)
    meant = f"did you mean {match!r}? " if match else ""
    existing = "the backends that exist: " + ", ".join(BACKENDS)
    problems.add(f"{MEMORY_PATH}.backend", f"unknown backend {backend!r}", meant + existing)


def _check_databases(memory: MemorySection, problems: Problems) -> None:
    """The cache may be flushed at any time, so it must not share a database with the store."""
    cache = memory.redis_cache
    if memory.backend != "valkey" or not cache.enabled or cache.db != memory.valkey.database:
        return
    if _normal(host_and_port(cache.address)) in map(_normal, memory.valkey.servers):
        problems.add(
            f"{MEMORY_PATH}.redis_cache.db",
            f"database {cache.db} of this server is the store's own",
            f"give the cache another one, such as db: {cache.db + 1}",
        )


def _check_user(memory: MemorySection, problems: Problems) -> None:
    """The client has no login by name alone."""
    valkey = memory.valkey
    if memory.backend != "valkey" or not valkey.username or valkey.password_file:
        return
    if not valkey.password.get_secret_value():
        problems.add(f"{MEMORY_PATH}.valkey.username", "a user name needs a password", "set password or password_file")


def _normal(server: tuple[str, int] | None) -> tuple[str, int] | None:
    if server is None:
        return None
    host = server[0].lower()
    return _LOOPBACK.get(host, host), server[1]


def collect_warnings(
    memory: MemorySection, plugins: Mapping[str, PluginSection], policies: Mapping[str | None, DecisionPolicy]
) -> tuple[str, ...]:
    """What loads and will surprise somebody.

    Args:
        memory: The global section.
        plugins: By decision.
        policies: By decision; the globals under None.
    """
    found = not_yet_warnings(memory)
    if memory.backend == "valkey":
        found += _valkey_warnings(memory.valkey)
    if not any(policy.enabled for policy in policies.values()):
        found.append(f"memory is off: neither {MEMORY_PATH}.enabled nor a decision turns it on")
    if memory.hybrid_mode and not any(policy.recall.mode is not RankingMode.DENSE for policy in policies.values()):
        found.append(f"{MEMORY_PATH}.hybrid_mode: has no effect without hybrid_search: true")
    for name, plugin in plugins.items():
        found += _decision_warnings(name, plugin, policies[name])
    return tuple(found)


def _valkey_warnings(valkey: ValkeySection) -> list[str]:
    path, set_there = f"{MEMORY_PATH}.valkey", valkey.model_fields_set
    found = [
        f"{path}.{key}: has no effect, addresses names the servers"
        for key in ("host", "port")
        if valkey.addresses and key in set_there
    ]
    if valkey.read_from == "prefer_replica" and not valkey.cluster:
        found.append(f"{path}.read_from: has no effect without cluster: true; a single server answers itself")
    if valkey.index_type == "hnsw":
        found += [
            f"{path}.{key}: has no effect with index_type: hnsw"
            for key in ("promote_at", "max_promoted")
            if key in set_there
        ]
    if not valkey.tls_enabled:
        found += [f"{path}.{key}: has no effect without tls_enabled: true" for key in _TLS_KEYS if getattr(valkey, key)]
    elif valkey.tls_insecure_skip_verify:
        found.append(f"{path}.tls_insecure_skip_verify: any server's certificate is taken; for tests only")
    return found


def _decision_warnings(name: str, plugin: PluginSection, policy: DecisionPolicy) -> list[str]:
    found = []
    if plugin.hybrid_mode and policy.recall.mode is RankingMode.DENSE:
        found.append(f"decision {name!r}: hybrid_mode has no effect without hybrid_search: true")
    if plugin.auto_store and not policy.enabled:
        found.append(f"decision {name!r}: auto_store has no effect where memory is not enabled")
    return found
