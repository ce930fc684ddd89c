"""What loads and will surprise somebody."""

from __future__ import annotations

import pytest

from tests.unit.config.support import MEMORY, decision, document, load, memory

ON: dict[str, object] = {"enabled": True}


def warning(source: dict[str, object]) -> str:
    (only,) = load(source).warnings
    return only


def test_a_plain_configuration_has_none() -> None:
    assert load(memory(enabled=True)).warnings == ()


def test_quality_scoring_prunes_nothing_yet() -> None:
    found = warning(memory(enabled=True, quality_scoring={"prune_threshold": 0.15}))
    assert f"{MEMORY}.quality_scoring" in found
    assert "nothing is pruned yet" in found


def test_the_shared_cache_is_to_come() -> None:
    cache = {"enabled": True, "address": "localhost:6379"}
    found = warning(memory(enabled=True, redis_cache=cache))
    assert f"{MEMORY}.redis_cache" in found
    assert "yet" in found


def test_a_shared_cache_that_is_off_is_no_surprise() -> None:
    assert load(memory(enabled=True, redis_cache={"address": "localhost:6379"})).warnings == ()


def test_the_extraction_batch_has_no_effect() -> None:
    assert f"{MEMORY}.extraction_batch_size" in warning(memory(enabled=True, extraction_batch_size=16))


def test_a_key_without_effect_at_its_default_is_no_surprise() -> None:
    assert load(memory(enabled=True, extraction_batch_size=10)).warnings == ()


@pytest.mark.parametrize("source", [{}, {"global": {"stores": {"memroy": {"enabled": True}}}}, memory()])
def test_memory_that_is_off_everywhere_is_mentioned(source: dict[str, object]) -> None:
    assert "memory is off" in warning(source)


def test_memory_that_one_decision_uses_is_not_off() -> None:
    assert load(document({}, decision(enabled=True))).warnings == ()


def test_a_global_mode_without_hybrid_search_has_no_effect() -> None:
    assert f"{MEMORY}.hybrid_mode" in warning(memory(enabled=True, hybrid_mode="rrf"))


def test_a_global_mode_that_one_decision_uses_has_an_effect() -> None:
    assert load(document({**ON, "hybrid_mode": "rrf"}, decision(hybrid_search=True))).warnings == ()


def test_a_mode_of_a_decision_without_hybrid_search_has_no_effect() -> None:
    found = warning(document(ON, decision("billing", hybrid_mode="rrf")))
    assert "decision 'billing': hybrid_mode" in found


def test_storing_without_memory_has_no_effect() -> None:
    found = warning(document(ON, decision("billing", enabled=False, auto_store=True)))
    assert "decision 'billing': auto_store" in found
