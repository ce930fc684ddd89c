"""Every key of the reference loads, and has the reference's default; our own keys have theirs."""

from __future__ import annotations

from functools import reduce

import pytest
from pydantic import BaseModel, SecretStr

from router_memory.config import MemorySection, load_config
from tests.unit.config.support import MEMORY, PLUGIN, decision, document, load, memory, refused

REFERENCE = {
    "enabled": False,
    "backend": "",
    "auto_store": False,
    "disabled_routes": (),
    "disabled_models": (),
    "embedding_model": "bert",
    "default_retrieval_limit": 5,
    "default_similarity_threshold": 0.70,
    "hybrid_search": False,
    "hybrid_mode": "",
    "adaptive_threshold": False,
    "extraction_batch_size": 10,
    "quality_scoring.initial_strength_days": 30,
    "quality_scoring.prune_threshold": 0.15,
    "quality_scoring.max_memories_per_user": 200,
    "reflection.enabled": True,
    "reflection.algorithm": "heuristic",
    "reflection.max_inject_tokens": 2048,
    "reflection.recency_decay_days": 30,
    "reflection.dedup_threshold": 0.90,
    "reflection.block_patterns": (),
    "valkey.host": "localhost",
    "valkey.port": 6379,
    "valkey.database": 0,
    "valkey.password": SecretStr(""),
    "valkey.timeout": 10,
    "valkey.collection_prefix": "mem:",
    "valkey.index_name": "mem_idx",
    "valkey.dimension": 384,
    "valkey.metric_type": "COSINE",
    "valkey.index_m": 16,
    "valkey.index_ef_construction": 256,
    "valkey.tls_enabled": False,
    "valkey.tls_ca_path": "",
    "valkey.tls_insecure_skip_verify": False,
    "redis_cache.enabled": False,
    "redis_cache.address": "",
    "redis_cache.ttl_seconds": 300,
    "redis_cache.db": 0,
    "redis_cache.key_prefix": "memory_cache:",
    "redis_cache.password": SecretStr(""),
}
OURS = {
    "deadline_ms": 150,
    "embedded.path": "",
    "embedded.promote_at": 20_000,
    "embedded.cache_mb": 256,
    "embedded.busy_timeout_ms": 5000,
    "embedded.synchronous": "full",
    "embedding.query_prefix": "",
    "embedding.passage_prefix": "",
    "embedding.batch_size": 16,
    "embedding.batch_wait_ms": 0.5,
    "embedding.threads": 0,
    "recall.adaptive_rule": "relative",
    "inject.role": "system",
    "write.roles": ("user", "assistant"),
    "write.max_content_bytes": 16_384,
    "write.max_parts": 16,
    "write.importance": 0.5,
    "write.history": False,
    "write.queue_size": 1024,
    "write.drain_seconds": 5,
    "identity.user_header": "x-authz-user-id",
    "identity.opt_out_header": "x-disable-router-memory",
    "valkey.username": "",
    "valkey.password_file": "",
    "valkey.cluster": False,
    "valkey.addresses": (),
    "valkey.ef_runtime": 200,
    "valkey.index_type": "flat",
    "valkey.promote_at": 5_000,
    "valkey.max_promoted": 64,
    "valkey.search_clients": 2,
    "valkey.decoded_mb": 64,
    "valkey.client_name": "router-memory",
    "valkey.client_cert_path": "",
    "valkey.client_key_path": "",
    "valkey.read_from": "primary",
    "redis_cache.username": "",
    "redis_cache.password_file": "",
    "redis_cache.tls_enabled": False,
    "redis_cache.tls_ca_path": "",
    "redis_cache.tls_insecure_skip_verify": False,
    "redis_cache.client_cert_path": "",
    "redis_cache.client_key_path": "",
    "redis_cache.cluster": False,
    "redis_cache.client_name": "router-memory-cache",
    "redis_cache.cache_timeout_ms": 20,
    "redis_cache.coherence": "strict",
    "redis_cache.epoch_max_age_ms": 100,
    "redis_cache.embedding_ttl_seconds": 86_400,
    "redis_cache.local_mb": 64,
    "redis_cache.local_entries": 10_000,
}


def value_of(section: BaseModel, key: str) -> object:
    return reduce(getattr, key.split("."), section)


def nested(key: str, value: object) -> dict[str, object]:
    *outer, last = key.split(".")
    return reduce(lambda inner, name: {name: inner}, reversed(outer), {last: value})


@pytest.mark.parametrize(("key", "default"), [*REFERENCE.items(), *OURS.items()])
def test_a_key_has_its_default(key: str, default: object) -> None:
    assert value_of(load(memory()).memory, key) == default


@pytest.mark.parametrize(("key", "default"), [*REFERENCE.items(), *OURS.items()])
def test_a_key_may_be_written_with_its_default(key: str, default: object) -> None:
    as_in_yaml = list(default) if isinstance(default, tuple) else default
    as_in_yaml = as_in_yaml.get_secret_value() if isinstance(as_in_yaml, SecretStr) else as_in_yaml
    assert value_of(load(memory(**nested(key, as_in_yaml))).memory, key) == default


OTHER = [
    ("auto_store", True),
    ("default_similarity_threshold", 1),
    ("embedding_model", "intfloat/e5-small-v2"),
    ("reflection.recency_decay_days", 0.5),
    ("valkey.database", 15),
    ("valkey.metric_type", "IP"),
    ("valkey.timeout", 2.5),
    ("valkey.host", "::1"),
    ("valkey.read_from", "prefer_replica"),
    ("valkey.index_type", "hnsw"),
    ("valkey.max_promoted", 0),
    ("valkey.decoded_mb", 0),
    ("redis_cache.address", "[::1]:6380"),
    ("redis_cache.coherence", "bounded"),
    ("redis_cache.cluster", True),
    ("redis_cache.embedding_ttl_seconds", 0),
    ("redis_cache.embedding_ttl_seconds", 2_592_000),
    ("redis_cache.local_mb", 0),
    ("redis_cache.local_mb", 1_048_576),
    ("redis_cache.local_entries", 10_000_000),
    ("redis_cache.epoch_max_age_ms", 60_000),
    ("redis_cache.cache_timeout_ms", 10_000),
    ("embedded.synchronous", "normal"),
    ("inject.role", "developer"),
    ("deadline_ms", 60_000),
    ("write.drain_seconds", 0),
]


@pytest.mark.parametrize(("key", "value"), OTHER)
def test_a_key_takes_another_value(key: str, value: object) -> None:
    assert value_of(load(memory(**nested(key, value))).memory, key) == value


OUTSIDE = [
    ("default_retrieval_limit", 0),
    ("default_retrieval_limit", 1001),
    ("default_similarity_threshold", -0.01),
    ("default_similarity_threshold", 1.01),
    ("deadline_ms", 0),
    ("deadline_ms", 60_001),
    ("reflection.dedup_threshold", 2),
    ("reflection.max_inject_tokens", 0),
    ("reflection.recency_decay_days", 0),
    ("valkey.port", 65_536),
    ("valkey.dimension", 32_769),
    ("valkey.index_m", 1),
    ("valkey.ef_runtime", 0),
    ("valkey.promote_at", 0),
    ("valkey.max_promoted", -1),
    ("valkey.decoded_mb", -1),
    ("valkey.search_clients", 0),
    ("valkey.search_clients", 17),
    ("valkey.timeout", 0),
    ("redis_cache.ttl_seconds", 0),
    ("redis_cache.epoch_max_age_ms", 0),
    ("redis_cache.epoch_max_age_ms", 60_001),
    ("redis_cache.cache_timeout_ms", 0),
    ("redis_cache.cache_timeout_ms", 10_001),
    ("redis_cache.embedding_ttl_seconds", -1),
    ("redis_cache.embedding_ttl_seconds", 2_592_001),
    ("redis_cache.local_mb", -1),
    ("redis_cache.local_mb", 1_048_577),
    ("redis_cache.local_entries", 0),
    ("redis_cache.local_entries", 10_000_001),
    ("embedded.cache_mb", 0),
    ("embedding.threads", -1),
    ("write.importance", 1.5),
    ("write.queue_size", 0),
]


@pytest.mark.parametrize(("key", "value"), OUTSIDE)
def test_a_number_outside_its_range_is_refused_with_the_range(key: str, value: float) -> None:
    error = refused(memory(**nested(key, value)))
    assert error.key_path == f"{MEMORY}.{key}"
    assert "must be from" in error.message
    assert f"not {value}" in error.message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_threshold_must_be_finite(value: float) -> None:
    error = refused(memory(default_similarity_threshold=value))
    assert error.key_path == f"{MEMORY}.default_similarity_threshold"
    assert "finite" in error.message


WRONG_TYPE = [
    ("enabled", "true", "true or false"),
    ("enabled", 1, "true or false"),
    ("default_retrieval_limit", "5", "a whole number"),
    ("default_retrieval_limit", True, "a whole number"),
    ("default_retrieval_limit", 5.0, "a whole number"),
    ("default_similarity_threshold", True, "a number"),
    ("default_similarity_threshold", "0.7", "a number"),
    ("default_similarity_threshold", 10**400, "a number"),
    ("embedding_model", 5, "a string"),
    ("disabled_routes", "/v1/chat", "a list"),
    ("valkey", "localhost", "a mapping"),
    ("reflection", [], "a mapping"),
]


@pytest.mark.parametrize(("key", "value", "wanted"), WRONG_TYPE)
def test_types_are_strict(key: str, value: object, wanted: str) -> None:
    error = refused(memory(**{key: value}))
    assert error.key_path == f"{MEMORY}.{key}"
    assert f"must be {wanted}" in error.message


def test_an_item_of_a_list_is_named_by_its_index() -> None:
    assert refused(memory(disabled_models=["a", 5])).key_path == f"{MEMORY}.disabled_models[1]"


def test_quotes_around_a_number_are_pointed_out() -> None:
    assert refused(memory(deadline_ms="150")).hint == "remove the quotes"


def test_missing_quotes_around_a_string_are_pointed_out() -> None:
    assert refused(memory(embedding_model=5)).hint == "put it in quotes"


@pytest.mark.parametrize("key", ["reflection", "valkey", "redis_cache", "embedded", "write"])
def test_a_section_without_a_value_is_the_empty_section(key: str) -> None:
    assert load(memory(**{key: None})).memory == load(memory()).memory


@pytest.mark.parametrize("key", ["backend", "disabled_routes", "hybrid_mode"])
def test_a_string_or_list_without_a_value_is_empty(key: str) -> None:
    assert load(memory(**{key: None})).memory == load(memory()).memory


@pytest.mark.parametrize("key", ["enabled", "deadline_ms", "default_similarity_threshold"])
def test_a_number_or_boolean_without_a_value_is_refused(key: str) -> None:
    assert "has no value" in refused(memory(**{key: None})).message


def test_a_decision_key_without_a_value_is_refused() -> None:
    error = refused(document({}, decision(retrieval_limit=None)))
    assert error.key_path == f"{PLUGIN}.retrieval_limit"
    assert "has no value" in error.message


def test_an_empty_embedding_model_is_bert() -> None:
    assert load(memory(embedding_model="")).memory.embedding_model == "bert"


def test_header_names_are_read_in_lower_case() -> None:
    assert load(memory(identity={"user_header": "X-User-Id"})).identity.user_header == "x-user-id"


@pytest.mark.parametrize("name", ["", "x user", "x:user", "x-ü"])
def test_a_header_needs_a_header_name(name: str) -> None:
    assert refused(memory(identity={"user_header": name})).key_path == f"{MEMORY}.identity.user_header"


def test_one_header_cannot_be_both() -> None:
    error = refused(memory(identity={"user_header": "x", "opt_out_header": "X"}))
    assert error.key_path == f"{MEMORY}.identity.opt_out_header"


def test_at_least_one_role_is_stored() -> None:
    assert refused(memory(write={"roles": []})).key_path == f"{MEMORY}.write.roles"


@pytest.mark.parametrize("address", ["localhost", "redis://localhost:6379", "localhost:0", "localhost:99999", ":1"])
def test_an_address_is_host_and_port(address: str) -> None:
    assert refused(memory(redis_cache={"address": address})).key_path == f"{MEMORY}.redis_cache.address"
    assert refused(memory(valkey={"addresses": ["a:1", address]})).key_path == f"{MEMORY}.valkey.addresses[1]"


@pytest.mark.parametrize("host", ["", "valkey://localhost", "localhost:6379", "user@host"])
def test_a_host_is_a_name_alone(host: str) -> None:
    assert refused(memory(valkey={"host": host})).key_path == f"{MEMORY}.valkey.host"


@pytest.mark.parametrize("name", ["", "a b", "mem:{x}", "mem*"])
def test_prefixes_and_index_names_hold_nothing_that_means_something_to_the_server(name: str) -> None:
    assert refused(memory(valkey={"index_name": name})).key_path == f"{MEMORY}.valkey.index_name"
    assert refused(memory(redis_cache={"key_prefix": name})).key_path == f"{MEMORY}.redis_cache.key_prefix"


@pytest.mark.parametrize("name", ["", "router memory", "rüuter", "a\nb"])
def test_a_client_name_is_printable_ascii_without_blanks(name: str) -> None:
    for server in ("valkey", "redis_cache"):
        assert refused(memory(**{server: {"client_name": name}})).key_path == f"{MEMORY}.{server}.client_name"


@pytest.mark.parametrize(
    ("section", "servers"),
    [
        ({}, [("localhost", 6379)]),
        ({"host": "db", "port": 7000}, [("db", 7000)]),
        ({"host": "db", "addresses": ["a:1", "[::1]:2"]}, [("a", 1), ("::1", 2)]),
    ],
)
def test_addresses_win_over_host_and_port(section: dict[str, object], servers: list[tuple[str, int]]) -> None:
    assert list(load(memory(valkey=section)).memory.valkey.servers) == servers


@pytest.mark.parametrize(
    ("address", "server"), [("", None), ("cache:6380", ("cache", 6380)), ("[fe80::1]:6380", ("fe80::1", 6380))]
)
@pytest.mark.parametrize("enabled", [False, True])
def test_the_address_of_the_cache_is_its_server(enabled: bool, address: str, server: tuple[str, int] | None) -> None:
    assert load(memory(redis_cache={"enabled": enabled, "address": address})).memory.redis_cache.server == server


@pytest.mark.parametrize("server", ["valkey", "redis_cache"])
@pytest.mark.parametrize(("there", "missing"), [("cert", "key"), ("key", "cert")])
def test_a_client_certificate_needs_its_key_and_the_other_way_round(there: str, missing: str, server: str) -> None:
    error = refused(memory(**{server: {f"client_{there}_path": "/tls/file"}}))
    assert error.key_path == f"{MEMORY}.{server}.client_{missing}_path"


def test_without_a_source_memory_is_enabled_and_all_else_default() -> None:
    assert load_config(None).memory == MemorySection(enabled=True)
    assert load_config().any_enabled
