"""What a decision asks of memory, from the globals and its own values."""

from __future__ import annotations

import dataclasses

import pytest

from router_memory.types import (
    CutoffRule,
    DecisionPolicy,
    InjectPolicy,
    RankingMode,
    ReflectionAlgorithm,
    WritePolicy,
)
from tests.unit.config.support import MEMORY, PLUGIN, decision, document, load, memory, refused

ON: dict[str, object] = {"enabled": True, "auto_store": True}


def policy(section: dict[str, object], **configuration: object) -> DecisionPolicy:
    return load(document(section, decision("route", **configuration))).policy("route")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("everywhere", [True, False])
def test_enabled_of_a_decision_wins_in_both_directions(own: bool, everywhere: bool) -> None:
    found = policy({"enabled": everywhere}, enabled=own)
    assert (found.enabled, found.enabled_by) == (own, "decision_config")


@pytest.mark.parametrize("everywhere", [True, False])
def test_enabled_is_global_where_the_decision_is_silent(everywhere: bool) -> None:
    found = policy({"enabled": everywhere})
    assert (found.enabled, found.enabled_by) == (everywhere, "global_config")


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("everywhere", [True, False])
def test_defect_2_auto_store_of_a_decision_wins_in_both_directions(own: bool, everywhere: bool) -> None:
    """In the reference a global `true` overrides a decision's `false`."""
    found = policy({"enabled": True, "auto_store": everywhere}, auto_store=own)
    assert (found.auto_store, found.auto_store_by) == (own, "decision_config")


@pytest.mark.parametrize("everywhere", [True, False])
def test_auto_store_is_global_where_the_decision_is_silent(everywhere: bool) -> None:
    found = policy({"enabled": True, "auto_store": everywhere})
    assert (found.auto_store, found.auto_store_by) == (everywhere, "global_config")


def test_defect_2_a_decision_without_memory_stores_nothing_either() -> None:
    """In the reference an opt-out stops the reading alone."""
    found = policy(ON, enabled=False)
    assert (found.auto_store, found.auto_store_by) == (False, "decision_config")


def test_where_memory_is_off_globally_nothing_is_stored() -> None:
    found = load(memory(enabled=False, auto_store=True)).policy()
    assert (found.auto_store, found.auto_store_by) == (False, "global_config")


@pytest.mark.parametrize("own", [1, 12])
def test_the_limit_of_a_decision_wins(own: int) -> None:
    assert policy({"default_retrieval_limit": 7}, retrieval_limit=own).recall.limit == own


def test_the_limit_is_global_where_the_decision_is_silent() -> None:
    assert policy({"default_retrieval_limit": 7}).recall.limit == 7


@pytest.mark.parametrize("own", [0.0, 0.2, 1.0])
def test_the_threshold_of_a_decision_wins(own: float) -> None:
    assert policy({"default_similarity_threshold": 0.5}, similarity_threshold=own).recall.threshold == own


def test_the_threshold_is_global_where_the_decision_is_silent() -> None:
    assert policy({"default_similarity_threshold": 0.5}).recall.threshold == 0.5


@pytest.mark.parametrize(("own", "mode"), [(True, RankingMode.RERANK), (False, RankingMode.DENSE)])
@pytest.mark.parametrize("everywhere", [True, False])
def test_hybrid_search_of_a_decision_wins_in_both_directions(own: bool, mode: RankingMode, everywhere: bool) -> None:
    assert policy({"hybrid_search": everywhere}, hybrid_search=own).recall.mode is mode


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("", RankingMode.RERANK),
        ("rerank", RankingMode.RERANK),
        ("weighted", RankingMode.WEIGHTED),
        ("rrf", RankingMode.RRF),
    ],
)
def test_defect_3_each_mode_means_what_it_says(written: str, mode: RankingMode) -> None:
    """In the reference `rerank` is documented and not implemented."""
    assert load(memory(hybrid_search=True, hybrid_mode=written)).policy().recall.mode is mode
    assert policy({"hybrid_search": True, "hybrid_mode": "rrf"}, hybrid_mode=written).recall.mode is mode


def test_defect_3_an_unknown_mode_is_refused_with_the_nearest() -> None:
    """In the reference it is silently accepted."""
    error = refused(memory(hybrid_search=True, hybrid_mode="weigthed"))
    assert error.key_path == f"{MEMORY}.hybrid_mode"
    assert "'weighted'" in error.hint


def test_defect_3_an_unknown_mode_of_a_decision_is_refused_with_the_nearest() -> None:
    error = refused(document({}, decision(hybrid_mode="Rerank")))
    assert error.key_path == f"{PLUGIN}.hybrid_mode"
    assert "'rerank'" in error.hint


@pytest.mark.parametrize(("own", "rule"), [(True, CutoffRule.RELATIVE), (False, CutoffRule.FIXED)])
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_adaptive_threshold_of_a_decision_wins_in_both_directions(
    own: bool, rule: CutoffRule, everywhere: bool
) -> None:
    assert policy({"adaptive_threshold": everywhere}, adaptive_threshold=own).recall.cutoff is rule


@pytest.mark.parametrize("rule", ["relative", "elbow"])
def test_the_adaptive_threshold_follows_the_configured_rule(rule: str) -> None:
    found = load(memory(adaptive_threshold=True, recall={"adaptive_rule": rule})).policy()
    assert found.recall.cutoff is CutoffRule(rule)


GLOBAL_REFLECTION = {
    "algorithm": "recency_semantic",
    "max_inject_tokens": 100,
    "recency_decay_days": 7,
    "dedup_threshold": 0.5,
    "block_patterns": ["secret"],
}


@pytest.mark.parametrize(
    ("key", "own", "resolved"),
    [
        ("algorithm", "heuristic", ReflectionAlgorithm.HEURISTIC),
        ("max_inject_tokens", 200, 200),
        ("recency_decay_days", 14, 14.0),
        ("dedup_threshold", 0.0, 0.0),
    ],
)
def test_reflection_is_merged_key_by_key(key: str, own: object, resolved: object) -> None:
    everywhere = load(memory(reflection=GLOBAL_REFLECTION)).policy().reflection
    found = policy({"reflection": GLOBAL_REFLECTION}, reflection={key: own}).reflection
    assert found == dataclasses.replace(everywhere, **{key: resolved})  # type: ignore[arg-type]  # the key varies


@pytest.mark.parametrize(("own", "patterns"), [([], []), (["token", "key"], ["token", "key"])])
def test_block_patterns_of_a_decision_replace_the_global_ones(own: list[str], patterns: list[str]) -> None:
    found = policy({"reflection": GLOBAL_REFLECTION}, reflection={"block_patterns": own}).reflection
    assert [pattern.pattern for pattern in found.block_patterns] == patterns


@pytest.mark.parametrize(
    ("own", "algorithm"), [(True, ReflectionAlgorithm.HEURISTIC), (False, ReflectionAlgorithm.NOOP)]
)
@pytest.mark.parametrize("everywhere", [True, False])
def test_reflection_enabled_of_a_decision_wins_in_both_directions(
    own: bool, algorithm: ReflectionAlgorithm, everywhere: bool
) -> None:
    found = policy({"reflection": {"enabled": everywhere}}, reflection={"enabled": own})
    assert found.reflection.algorithm is algorithm


def test_reflection_off_is_noop() -> None:
    found = load(memory(reflection={"enabled": False, "algorithm": "heuristic"})).policy()
    assert found.reflection.algorithm is ReflectionAlgorithm.NOOP


def test_an_unknown_algorithm_is_refused_with_the_nearest() -> None:
    error = refused(memory(reflection={"algorithm": "recency"}))
    assert error.key_path == f"{MEMORY}.reflection.algorithm"
    assert "'recency_semantic'" in error.hint


def test_the_role_of_the_injection_is_global() -> None:
    assert policy({"inject": {"role": "user"}}).inject == InjectPolicy(role="user")


def test_an_unknown_decision_has_the_globals() -> None:
    config = load(document({"default_retrieval_limit": 7}, decision(retrieval_limit=3)))
    assert not config.knows("elsewhere")
    assert config.policy("elsewhere") is config.policy(None)
    assert config.policy("elsewhere").decision is None


def test_a_decision_without_a_memory_plugin_is_known_and_has_the_globals() -> None:
    config = load(document({"default_retrieval_limit": 7}, {"name": "plain", "plugins": [{"type": "rag"}]}))
    assert config.knows("plain")
    assert config.policy("plain") == dataclasses.replace(config.policy(), decision="plain")


def test_a_policy_is_resolved_once() -> None:
    config = load(document({}, decision()))
    assert config.policy("route") is config.policy("route")


def test_a_decision_that_enables_memory_opens_the_store() -> None:
    assert load(document({"enabled": False}, decision("off"), decision("on", enabled=True))).any_enabled


def test_the_store_stays_closed_when_nobody_wants_it() -> None:
    assert not load(document({"enabled": False}, decision("off"), decision("no", enabled=False))).any_enabled


def test_decisions_come_in_the_order_of_the_file() -> None:
    assert load(document({}, decision("b"), {"name": "c"}, decision("a"))).decisions == ("b", "c", "a")


def test_the_write_policy_is_the_write_section() -> None:
    section = {"roles": ["user"], "max_content_bytes": 999, "max_parts": 2, "importance": 0, "history": True}
    assert load(memory(write=section)).write_policy == WritePolicy(frozenset({"user"}), 999, 2, 0.0, history=True)


def test_disabled_routes_and_models_are_sets() -> None:
    config = load(memory(disabled_routes=["/v1/a"], disabled_models=["m", "n"]))
    assert config.disabled_routes == {"/v1/a"}
    assert config.disabled_models == {"m", "n"}
