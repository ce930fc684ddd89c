"""An error names the file, the key path, the decision and what was probably meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.config.support import MEMORY, PLUGIN, decision, document, load, memory, refused, written

if TYPE_CHECKING:
    from pathlib import Path


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "global: {stores: {memory: {enabeld: true}}}")
    error = refused(path)
    assert error.file == str(path)
    assert str(error) == f"{path}: {MEMORY}.enabeld: unknown key (did you mean 'enabled'?)"


def test_a_mapping_has_a_name_too() -> None:
    assert refused(memory(enabeld=True)).file == "<dict>"


@pytest.mark.parametrize(
    ("section", "key_path", "nearest"),
    [
        ({"similarity_threshold": 0.5}, f"{MEMORY}.similarity_threshold", "'default_similarity_threshold'"),
        ({"default-retrieval-limit": 5}, f"{MEMORY}.default-retrieval-limit", "'default_retrieval_limit'"),
        ({"reflection": {"dedupe_threshold": 1}}, f"{MEMORY}.reflection.dedupe_threshold", "'dedup_threshold'"),
        ({"valkey": {"prot": 1}}, f"{MEMORY}.valkey.prot", "'port'"),
        ({"redis_cache": {"ttl": 1}}, f"{MEMORY}.redis_cache.ttl", "valid: "),
        ({"redis_cache": {"local_mib": 1}}, f"{MEMORY}.redis_cache.local_mib", "'local_mb'"),
        ({"query_prefix": "q"}, f"{MEMORY}.query_prefix", f"{MEMORY}.embedding.query_prefix"),
        ({"zzz": 1}, f"{MEMORY}.zzz", "valid: enabled, backend,"),
    ],
)
def test_defect_3_an_unknown_key_is_refused_with_the_nearest(
    section: dict[str, object], key_path: str, nearest: str
) -> None:
    """In the reference unknown keys are silently accepted."""
    error = refused(memory(**section))
    assert error.key_path == key_path
    assert "unknown key" in error.message
    assert nearest in error.hint


@pytest.mark.parametrize(
    ("configuration", "key", "nearest"),
    [
        ({"retreival_limit": 3}, "retreival_limit", "'retrieval_limit'"),
        ({"limit": 3}, "limit", "'retrieval_limit'"),
        ({"default_similarity_threshold": 0.5}, "default_similarity_threshold", "'similarity_threshold'"),
        ({"reflection": {"enable": True}}, "reflection.enable", "'enabled'"),
        ({"deadline_ms": 5}, "deadline_ms", f"{MEMORY}.deadline_ms"),
    ],
)
def test_defect_3_an_unknown_key_of_a_decision_is_refused_with_the_nearest(
    configuration: dict[str, object], key: str, nearest: str
) -> None:
    error = refused(document({}, decision("billing", **configuration)))
    assert error.key_path == f"{PLUGIN}.{key}"
    assert "decision 'billing'" in error.message
    assert nearest in error.hint


def test_a_key_path_counts_decisions_and_plugins() -> None:
    plugins = [{"type": "rag"}, {"type": "memory", "configuration": {"retrieval_limit": 0}}]
    error = refused(document({}, decision("first"), {"name": "second", "plugins": plugins}))
    assert error.key_path == "routing.decisions[1].plugins[1].configuration.retrieval_limit"
    assert "decision 'second': must be from 1 to 1000, not 0" in error.message


@pytest.mark.parametrize(
    ("key", "hint"),
    [("retrieval_limit", "'retrieval_limit' under 'configuration'"), ("config", "'configuration'"), ("zzz", "valid:")],
)
def test_a_key_beside_configuration_is_refused(key: str, hint: str) -> None:
    error = refused(document({}, {"name": "a", "plugins": [{"type": "memory", key: 3}]}))
    assert error.key_path == f"routing.decisions[0].plugins[0].{key}"
    assert "decision 'a'" in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    ("section", "key", "nearest"),
    [
        ({"valkey": {"metric_type": "cosine"}}, "valkey.metric_type", "'COSINE'"),
        ({"valkey": {"index_type": "HNSW"}}, "valkey.index_type", "'hnsw'"),
        ({"embedded": {"synchronous": "ful"}}, "embedded.synchronous", "'full'"),
        ({"redis_cache": {"coherence": "bound"}}, "redis_cache.coherence", "'bounded'"),
        ({"inject": {"role": "sytem"}}, "inject.role", "'system'"),
        ({"recall": {"adaptive_rule": "knee"}}, "recall.adaptive_rule", "valid: relative, elbow"),
        ({"write": {"roles": ["user", "asistant"]}}, "write.roles[1]", "'assistant'"),
    ],
)
def test_an_unknown_value_is_refused_with_the_nearest(section: dict[str, object], key: str, nearest: str) -> None:
    error = refused(memory(**section))
    assert error.key_path == f"{MEMORY}.{key}"
    assert "unknown value" in error.message
    assert nearest in error.hint


@pytest.mark.parametrize(("wrong", "more"), [(1, ""), (2, "; 1 more problem in"), (3, "; 2 more problems in")])
def test_the_first_problem_says_how_many_more_there_are(wrong: int, more: str) -> None:
    keys = ["default_retrieval_limit", "default_similarity_threshold", "deadline_ms"][:wrong]
    error = refused(memory(**dict.fromkeys(keys, -1)))
    assert error.key_path == f"{MEMORY}.default_retrieval_limit"
    assert error.message.partition("not -1")[2].startswith(more)


def test_problems_of_decisions_are_counted_with_the_others() -> None:
    error = refused(document({"deadline_ms": 0}, decision(retrieval_limit=0)))
    assert error.key_path == f"{MEMORY}.deadline_ms"
    assert "1 more problem in" in error.message


@pytest.mark.parametrize("pattern", ["(", "[a", "*", r"\y", "a(?i)b", "(?P<n>a)(?P<n>b)", "a{99999999999}"])
def test_a_block_pattern_must_compile(pattern: str) -> None:
    error = refused(memory(reflection={"block_patterns": ["fine", pattern]}))
    assert error.key_path == f"{MEMORY}.reflection.block_patterns[1]"
    assert "regular expression" in error.message


def test_a_block_pattern_of_a_decision_must_compile() -> None:
    error = refused(document({}, decision(reflection={"block_patterns": ["("]})))
    assert error.key_path == f"{PLUGIN}.reflection.block_patterns[0]"
    assert "decision 'route'" in error.message


def test_a_decision_name_may_stand_once() -> None:
    error = refused(document({}, decision("a"), {"name": "b"}, {"name": "a"}))
    assert error.key_path == "routing.decisions[2].name"
    assert "decision 'a' is defined at routing.decisions[0]" in error.message


def test_a_decision_has_one_memory_plugin() -> None:
    plugins = [{"type": "memory"}, {"type": "rag"}, {"type": "memory"}]
    error = refused(document({}, {"name": "a", "plugins": plugins}))
    assert error.key_path == "routing.decisions[0].plugins[2]"
    assert "decision 'a' has a memory plugin at routing.decisions[0].plugins[0]" in error.message


@pytest.mark.parametrize("named", [{}, {"name": ""}, {"name": 5}, {"name": True}])
def test_a_decision_with_a_memory_plugin_needs_a_name(named: dict[str, object]) -> None:
    error = refused(document({}, {**named, "plugins": [{"type": "memory"}]}))
    assert error.key_path == "routing.decisions[0].name"


@pytest.mark.parametrize("backend", ["milvus", "qdrant", "postgres", "memory"])
def test_a_backend_that_does_not_exist_is_refused_with_those_that_do(backend: str) -> None:
    """Also the two that only the reference has."""
    error = refused(memory(backend=backend))
    assert error.key_path == f"{MEMORY}.backend"
    assert f"unknown backend '{backend}'" in error.message
    assert error.hint.endswith("the backends that exist: embedded, valkey")


@pytest.mark.parametrize(("misspelt", "meant"), [("embeded", "embedded"), ("Valkey", "valkey"), ("valkye", "valkey")])
def test_a_misspelt_backend_is_refused_with_the_nearest(misspelt: str, meant: str) -> None:
    assert f"did you mean '{meant}'?" in refused(memory(backend=misspelt)).hint


def test_the_valkey_backend_is_there() -> None:
    assert load(memory(enabled=True, backend="valkey")).backend == "valkey"


@pytest.mark.parametrize("backend", ["embedded", "valkey"])
def test_the_valkey_section_is_validated_under_any_backend(backend: str) -> None:
    assert refused(memory(backend=backend, valkey={"port": 0})).key_path == f"{MEMORY}.valkey.port"


@pytest.mark.parametrize("password", [{"password": "p"}, {"password_file": "/dev/null"}])
def test_a_user_name_needs_a_password(password: dict[str, str]) -> None:
    error = refused(memory(backend="valkey", valkey={"username": "router"}))
    assert error.key_path == f"{MEMORY}.valkey.username"
    assert error.hint == "set password or password_file"
    assert load(memory(valkey={"username": "router", **password})).memory.valkey.username == "router"


@pytest.mark.parametrize("secret", [None, b"", b"no certificate"])
@pytest.mark.parametrize("key", ["tls_ca_path", "client_cert_path", "client_key_path"])
def test_a_certificate_in_use_must_be_there_and_a_pem_file(tmp_path: Path, key: str, secret: bytes | None) -> None:
    good = tmp_path / "good.pem"
    good.write_bytes(b"-----BEGIN CERTIFICATE-----")
    bad = tmp_path / "bad.pem"
    if secret is not None:
        bad.write_bytes(secret)
    files = {"tls_ca_path": str(good), "client_cert_path": str(good), "client_key_path": str(good)}
    section = {"tls_enabled": True, **files}
    config = load(memory(backend="valkey", valkey=section))
    assert config.tls_pem("valkey", "client_key_path") == good.read_bytes()
    error = refused(memory(backend="valkey", valkey={**section, key: str(bad)}))
    assert error.key_path == f"{MEMORY}.valkey.{key}"
    assert str(bad) in error.message
    assert load(memory(valkey={**section, key: str(bad)})).backend == "embedded"


@pytest.mark.parametrize("backend", ["", "embedded"])
def test_the_embedded_backend_is_the_default(backend: str) -> None:
    assert load(memory(backend=backend)).backend == "embedded"
