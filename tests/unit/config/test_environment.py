"""`${NAME}` and `${NAME:-default}` in the strings of our sections."""

from __future__ import annotations

import pytest

from router_memory.config import load_config
from tests.unit.config.support import MEMORY, PLUGIN, decision, document, load, memory, refused


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${MODEL}", "bge"),
        ("a/${MODEL}/${MODEL}", "a/bge/bge"),
        ("${ABSENT:-e5}", "e5"),
        ("${EMPTY:-e5}", "e5"),
        ("${MODEL:-e5}", "bge"),
        ("${ABSENT:-}x", "x"),
        ("${ABSENT:-a:-b $c}", "a:-b $c"),
        ("x${EMPTY}", "x"),
        ("$${MODEL}", "${MODEL}"),
        ("$${MODEL}-${MODEL}", "${MODEL}-bge"),
        ("$MODEL $ {MODEL}", "$MODEL $ {MODEL}"),
        ("${INDIRECT}", "${MODEL}"),
    ],
)
def test_a_string_expands(written: str, read: str) -> None:
    section = memory(embedding_model=written)
    assert load(section, MODEL="bge", EMPTY="", INDIRECT="${MODEL}").memory.embedding_model == read


def test_strings_expand_in_nested_sections_and_lists() -> None:
    config = load(memory(valkey={"host": "${H}"}, disabled_models=["${H}-model"]), H="db")
    assert config.memory.valkey.host == "db"
    assert config.disabled_models == {"db-model"}


def test_strings_expand_in_decisions() -> None:
    assert load(document({}, decision(retrieval_limit="${N}")), N="3").policy("route").recall.limit == 3


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("default_retrieval_limit", "12", 12),
        ("default_retrieval_limit", " 12\n", 12),
        ("default_similarity_threshold", "0.55", 0.55),
        ("default_similarity_threshold", "1", 1.0),
        ("enabled", "true", True),
        ("enabled", "False", False),
        ("enabled", "on", True),
        ("hybrid_mode", "rrf", "rrf"),
    ],
)
def test_what_the_environment_gives_may_be_a_number_or_a_boolean(key: str, text: str, value: object) -> None:
    assert getattr(load(memory(**{key: "${X}"}), X=text).memory, key) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("default_retrieval_limit", "twelve"),
        ("default_retrieval_limit", "5.0"),
        ("default_retrieval_limit", ""),
        ("default_similarity_threshold", "high"),
        ("enabled", "1"),
        ("hybrid_mode", "sideways"),
    ],
)
def test_what_cannot_be_read_is_refused_without_showing_it(key: str, text: str) -> None:
    error = refused(memory(**{key: "${X}"}), X=text)
    assert error.key_path == f"{MEMORY}.{key}"
    assert "what ${X} gives" in error.message
    assert not text or text not in error.message


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_number_of_the_environment_must_be_finite(text: str) -> None:
    assert "finite" in refused(memory(default_similarity_threshold="${X}"), X=text).message


def test_a_number_of_the_environment_has_the_same_range() -> None:
    assert "must be from 1 to 1000" in refused(memory(default_retrieval_limit="${X}"), X="0").message


def test_an_unset_variable_is_named() -> None:
    error = refused(memory(valkey={"password": "${VALKEY_PASSWORD}"}))
    assert error.key_path == f"{MEMORY}.valkey.password"
    assert "VALKEY_PASSWORD is not set" in error.message
    assert "${VALKEY_PASSWORD:-" in error.hint


def test_an_unset_variable_in_a_decision_is_named_with_the_decision() -> None:
    error = refused(document({}, decision("billing", retrieval_limit="${N}")))
    assert error.key_path == f"{PLUGIN}.retrieval_limit"
    assert "decision 'billing': the environment variable N is not set" in error.message


@pytest.mark.parametrize("written", ["${", "${}", "${A", "${A-b}", "${1A}", "${A B}", "${A:b}"])
def test_a_malformed_reference_is_refused(written: str) -> None:
    error = refused(memory(reflection={"block_patterns": ["x", written]}), A="a")
    assert error.key_path == f"{MEMORY}.reflection.block_patterns[1]"
    assert "$${" in error.hint


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_MEMORY_TEST_MODEL", "bge")
    assert load_config(memory(embedding_model="${ROUTER_MEMORY_TEST_MODEL}")).memory.embedding_model == "bge"


def test_a_mapping_is_left_as_it_was() -> None:
    source = memory(embedding_model="${A}")
    load(source, A="a")
    assert source == memory(embedding_model="${A}")


def test_foreign_sections_and_names_of_decisions_are_not_expanded() -> None:
    source = {**document({}, decision("${ABSENT}")), "providers": {"key": "${ABSENT}"}}
    assert load(source).knows("${ABSENT}")
