"""What one model cannot see: how sections fit together, and what is worth a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router_memory.config.cache_checks import cache_warnings, check_cache
from router_memory.config.model import MemorySection
from router_memory.config.nearest import nearest
from router_memory.config.not_yet import not_yet_warnings
from router_memory.config.own import MEMORY_PATH
from router_memory.config.plugin_model import PluginSection
from router_memory.config.problems import Problems
from router_memory.config.server_checks import check_user, tls_warnings
from router_memory.config.servers import ValkeySection
from router_memory.config.service_checks import check_service, service_warnings
from router_memory.types import DecisionPolicy, RankingMode

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BACKENDS", "check_sections", "collect_warnings"]

BACKENDS = ("embedded", "valkey")
_EMBEDDED = BACKENDS[0]


def check_sections(memory: MemorySection, problems: Problems) -> None:
    """Adds what is wrong between sections to `problems`."""
    check_cache(memory, problems)
    if memory.backend == "valkey":
        check_user(memory.valkey, f"{MEMORY_PATH}.valkey", problems)
    check_service(memory, problems)
    _check_backend(memory.backend or _EMBEDDED, problems)


def _check_backend(backend: str, problems: Problems) -> None:
    if backend in BACKENDS:
        return
    match = nearest(backend, BACKENDS)
    meant = f"did you mean {match!r}? " if match else ""
    existing = "the backends that exist: " + ", ".join(BACKENDS)
    problems.add(f"{MEMORY_PATH}.backend", f"unknown backend {backend!r}", meant + existing)


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
    found += cache_warnings(memory)
    found += service_warnings(memory, policies)
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
    return found + tls_warnings(valkey, path)


def _decision_warnings(name: str, plugin: PluginSection, policy: DecisionPolicy) -> list[str]:
    found = []
    if plugin.hybrid_mode and policy.recall.mode is RankingMode.DENSE:
        found.append(f"decision {name!r}: hybrid_mode has no effect without hybrid_search: true")
    if plugin.auto_store and not policy.enabled:
        found.append(f"decision {name!r}: auto_store has no effect where memory is not enabled")
    return found
