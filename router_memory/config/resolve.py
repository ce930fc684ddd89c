"""From sections to policies: a decision's value wins over the global one, in both directions."""

from __future__ import annotations

from typing import TypeVar

from router_memory.config.model import MemorySection
from router_memory.config.plugin_model import PluginSection
from router_memory.config.reflection import ReflectionOverride, compile_patterns
from router_memory.types import (
    CutoffRule,
    DecisionPolicy,
    InjectPolicy,
    RankingMode,
    RecallPolicy,
    ReflectionAlgorithm,
    ReflectionPolicy,
    WritePolicy,
)

__all__ = ["resolve_policy", "resolve_write_policy"]

ValueT = TypeVar("ValueT")

_DECISION, _GLOBAL = "decision_config", "global_config"


def resolve_policy(
    memory: MemorySection, decision: str | None = None, plugin: PluginSection | None = None
) -> DecisionPolicy:
    """The policy of one decision; of the globals when there is none.

    A decision that does not read does not write either: `auto_store` holds only where memory is enabled.
    """
    own = plugin or PluginSection()
    enabled = _either(own.enabled, memory.enabled)
    enabled_by = _who(own.enabled)
    auto_store = _either(own.auto_store, memory.auto_store)
    return DecisionPolicy(
        decision=decision,
        enabled=enabled,
        enabled_by=enabled_by,
        auto_store=enabled and auto_store,
        auto_store_by=_who(own.auto_store) if enabled else enabled_by,
        recall=RecallPolicy(
            limit=_either(own.retrieval_limit, memory.default_retrieval_limit),
            threshold=_either(own.similarity_threshold, memory.default_similarity_threshold),
            mode=_mode(memory, own),
            cutoff=_cutoff(memory, own),
        ),
        reflection=_reflection(memory, own.reflection),
        inject=InjectPolicy(role=memory.inject.role),
    )


def resolve_write_policy(memory: MemorySection) -> WritePolicy:
    """What is remembered of a turn."""
    write = memory.write
    return WritePolicy(
        roles=frozenset(write.roles),
        max_content_bytes=write.max_content_bytes,
        max_parts=write.max_parts,
        importance=write.importance,
        history=write.history,
    )


def _either(own: ValueT | None, otherwise: ValueT) -> ValueT:
    return otherwise if own is None else own


def _who(own: object) -> str:
    return _GLOBAL if own is None else _DECISION


def _mode(memory: MemorySection, own: PluginSection) -> RankingMode:
    if not _either(own.hybrid_search, memory.hybrid_search):
        return RankingMode.DENSE
    return RankingMode(_either(own.hybrid_mode, memory.hybrid_mode) or RankingMode.RERANK)


def _cutoff(memory: MemorySection, own: PluginSection) -> CutoffRule:
    if not _either(own.adaptive_threshold, memory.adaptive_threshold):
        return CutoffRule.FIXED
    return CutoffRule(memory.recall.adaptive_rule)


def _reflection(memory: MemorySection, own: ReflectionOverride) -> ReflectionPolicy:
    base = memory.reflection
    algorithm = ReflectionAlgorithm(_either(own.algorithm, base.algorithm))
    return ReflectionPolicy(
        algorithm=algorithm if _either(own.enabled, base.enabled) else ReflectionAlgorithm.NOOP,
        max_inject_tokens=_either(own.max_inject_tokens, base.max_inject_tokens),
        recency_decay_days=_either(own.recency_decay_days, base.recency_decay_days),
        dedup_threshold=_either(own.dedup_threshold, base.dedup_threshold),
        block_patterns=compile_patterns(_either(own.block_patterns, base.block_patterns)),
    )
