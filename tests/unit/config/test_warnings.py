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


VALKEY = [
    ({"addresses": ["a:1"], "host": "b"}, "host", "addresses names the servers"),
    ({"addresses": ["a:1"], "port": 6379}, "port", "addresses names the servers"),
    ({"read_from": "prefer_replica"}, "read_from", "no effect without cluster: true"),
    ({"index_type": "hnsw", "promote_at": 5}, "promote_at", "no effect with index_type: hnsw"),
    ({"tls_insecure_skip_verify": True}, "tls_insecure_skip_verify", "no effect without tls_enabled"),
    ({"tls_enabled": True, "tls_insecure_skip_verify": True}, "tls_insecure_skip_verify", "for tests only"),
    ({"tls_ca_path": "ca.pem"}, "tls_ca_path", "no effect without tls_enabled"),
]


@pytest.mark.parametrize(("section", "key", "message"), VALKEY)
def test_a_key_of_valkey_that_will_surprise_somebody(section: dict[str, object], key: str, message: str) -> None:
    found = warning(memory(enabled=True, backend="valkey", valkey=section))
    assert found.startswith(f"{MEMORY}.valkey.{key}: ")
    assert message in found


@pytest.mark.parametrize("section", [section for section, _, _ in VALKEY])
def test_a_server_that_is_not_used_surprises_nobody(section: dict[str, object]) -> None:
    assert load(memory(enabled=True, valkey=section)).warnings == ()


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"addresses": ["a:1", "b:2"]},
        {"cluster": True, "read_from": "prefer_replica"},
        {"promote_at": 5, "max_promoted": 0},
    ],
)
def test_a_section_that_means_what_it_says_has_no_warning(section: dict[str, object]) -> None:
    assert load(memory(enabled=True, backend="valkey", valkey=section)).warnings == ()
