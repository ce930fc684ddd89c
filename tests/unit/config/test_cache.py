"""The hot cache: which levels there are, what it must not share with the store, which keys have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.config.support import MEMORY, load, memory, refused

if TYPE_CHECKING:
    from pathlib import Path

CACHE = f"{MEMORY}.redis_cache"
STORE: dict[str, object] = {"backend": "valkey", "valkey": {"host": "db", "database": 1}}


def cache(**section: object) -> dict[str, object]:
    """An enabled cache with these keys."""
    return {"enabled": True, **section}


def shared(**section: object) -> dict[str, object]:
    """An enabled cache with a server."""
    return cache(address="cache:6379", **section)


# -- levels


def test_without_an_address_there_is_level_1_alone() -> None:
    config = load(memory(enabled=True, redis_cache=cache()))
    assert config.memory.redis_cache.server is None
    assert config.warnings == ()


def test_without_level_1_there_is_the_server_alone() -> None:
    config = load(memory(enabled=True, redis_cache=shared(local_mb=0)))
    assert config.memory.redis_cache.server == ("cache", 6379)
    assert config.warnings == ()


def test_an_enabled_cache_needs_a_level() -> None:
    error = refused(memory(redis_cache=cache(local_mb=0)))
    assert error.key_path == f"{CACHE}.enabled"
    assert "nothing would be cached" in error.message


def test_a_cache_that_is_off_needs_no_level() -> None:
    assert not load(memory(redis_cache={"local_mb": 0})).memory.redis_cache.enabled


# -- a database of its own


def test_the_cache_must_not_be_in_the_database_of_the_store() -> None:
    error = refused(memory(**STORE, redis_cache=cache(address="DB:6379", db=1)))
    assert error.key_path == f"{CACHE}.db"
    assert "db: 2" in error.hint


def test_other_prefixes_do_not_help_where_databases_have_numbers() -> None:
    error = refused(memory(**STORE, redis_cache=cache(address="db:6379", db=1, key_prefix="other:")))
    assert error.key_path == f"{CACHE}.db"


def test_a_node_of_the_store_named_in_addresses_counts_as_its_server() -> None:
    section = {"backend": "valkey", "valkey": {"host": "other", "addresses": ["a:1", "b:2"]}}
    assert refused(memory(**section, redis_cache=cache(address="b:2"))).key_path == f"{CACHE}.db"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "LOCALHOST"])
def test_the_names_of_this_machine_are_one_server(host: str) -> None:
    error = refused(memory(backend="valkey", redis_cache=cache(address=f"{host}:6379")))
    assert error.key_path == f"{CACHE}.db"


@pytest.mark.parametrize(
    "section",
    [
        {"enabled": False, "address": "db:6379", "db": 1},
        {"enabled": True, "address": "db:6379", "db": 2},
        {"enabled": True, "address": "db:6380", "db": 1},
        {"enabled": True, "address": "cache:6379", "db": 1},
        {"enabled": True},
    ],
)
def test_a_cache_elsewhere_does_not_collide_with_the_store(section: dict[str, object]) -> None:
    assert load(memory(**STORE, redis_cache=section)).backend == "valkey"


def test_a_cache_beside_the_embedded_store_collides_with_nothing() -> None:
    section = cache(address="localhost:6379", key_prefix="mem:")
    assert load(memory(redis_cache=section)).memory.redis_cache.enabled


# -- clusters, which may have one database only


def on_cluster(section: dict[str, object], **valkey: object) -> dict[str, object]:
    """A store on a cluster, and this cache."""
    return memory(
        enabled=True,
        backend="valkey",
        valkey={"cluster": True, "addresses": ["a:1", "b:2"], **valkey},
        redis_cache=section,
    )


@pytest.mark.parametrize("address", ["b:2", "c:3"])
def test_prefixes_separate_the_cache_from_the_store_on_a_cluster(address: str) -> None:
    config = load(on_cluster(cache(address=address, cluster=True)))
    assert config.memory.redis_cache.db == config.memory.valkey.database
    assert config.warnings == ()


@pytest.mark.parametrize("prefix", ["mem:", "mem:cache:", "m"])
@pytest.mark.parametrize("address", ["b:2", "c:3"], ids=["a node of the store", "a node nobody named"])
def test_prefixes_that_overlap_do_not(prefix: str, address: str) -> None:
    error = refused(on_cluster(cache(address=address, cluster=True, key_prefix=prefix)))
    assert error.key_path == f"{CACHE}.key_prefix"
    assert f"'{prefix}'" in error.message
    assert "'mem:'" in error.message


@pytest.mark.parametrize(("of_cache", "of_store"), [(True, False), (False, True)])
def test_one_section_that_says_cluster_is_enough(of_cache: bool, of_store: bool) -> None:
    section = cache(address="b:2", cluster=of_cache, key_prefix="mem:cache:")
    assert refused(on_cluster(section, cluster=of_store)).key_path == f"{CACHE}.key_prefix"


@pytest.mark.parametrize(("of_cache", "of_store"), [(True, False), (False, True)])
def test_sections_that_disagree_about_a_server_are_mentioned(of_cache: bool, of_store: bool) -> None:
    (found,) = load(on_cluster(cache(address="b:2", cluster=of_cache), cluster=of_store)).warnings
    assert found.startswith(f"{CACHE}.cluster: ")
    assert load(on_cluster(cache(address="c:3", cluster=of_cache), cluster=of_store)).warnings == ()


def test_a_numbered_database_of_a_cluster_is_one_of_its_own() -> None:
    section = cache(address="b:2", cluster=True, db=1, key_prefix="mem:")
    assert load(on_cluster(section)).warnings == ()


@pytest.mark.parametrize("section", [cache(), shared()], ids=["level 1", "both levels"])
def test_what_replicas_answer_is_not_cached(section: dict[str, object]) -> None:
    error = refused(on_cluster(section, read_from="prefer_replica"))
    assert error.key_path == f"{MEMORY}.valkey.read_from"
    assert "read_from: primary" in error.hint


def test_replicas_may_answer_without_a_cache_and_under_another_backend() -> None:
    replicas = {"cluster": True, "read_from": "prefer_replica"}
    assert load(memory(enabled=True, backend="valkey", valkey=replicas)).warnings == ()
    assert load(memory(enabled=True, valkey=replicas, redis_cache=cache())).warnings == ()


# -- login and encryption


def test_a_user_name_needs_a_password(tmp_path: Path) -> None:
    error = refused(memory(redis_cache=shared(username="router")))
    assert error.key_path == f"{CACHE}.username"
    assert error.hint == "set password or password_file"
    (tmp_path / "secret").write_text("p")
    for password in ({"password": "p"}, {"password_file": str(tmp_path / "secret")}):
        assert load(memory(enabled=True, redis_cache=shared(username="router", **password))).warnings == ()


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
@pytest.mark.parametrize("key", ["tls_ca_path", "client_cert_path", "client_key_path"])
def test_a_certificate_in_use_must_be_there_and_a_pem_file(tmp_path: Path, key: str, content: bytes | None) -> None:
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_bytes(b"-----BEGIN CERTIFICATE-----")
    if content is not None:
        bad.write_bytes(content)
    files = dict.fromkeys(["tls_ca_path", "client_cert_path", "client_key_path"], str(good))
    config = load(memory(enabled=True, redis_cache=shared(tls_enabled=True, **files)))
    assert config.tls_pem("redis_cache", "client_key_path") == good.read_bytes()
    assert config.warnings == ()
    files[key] = str(bad)
    error = refused(memory(redis_cache=shared(tls_enabled=True, **files)))
    assert error.key_path == f"{CACHE}.{key}"
    assert str(bad) in error.message


@pytest.mark.parametrize(
    "section",
    [
        {"address": "cache:6379", "tls_enabled": True, "tls_ca_path": "none.pem", "password_file": "none"},
        {"enabled": True, "tls_enabled": True, "tls_ca_path": "none.pem", "password_file": "none"},
        {"enabled": True, "address": "cache:6379", "tls_ca_path": "none.pem"},
    ],
    ids=["off", "without a server", "without TLS"],
)
def test_files_that_are_not_used_may_be_missing(section: dict[str, object]) -> None:
    assert load(memory(redis_cache=section)).memory.redis_cache.tls_ca_path == "none.pem"


# -- what has no effect

EFFECTLESS = [
    (shared(epoch_max_age_ms=50), "epoch_max_age_ms", "no effect without coherence: bounded"),
    (shared(local_mb=0, local_entries=5), "local_entries", "no effect with local_mb: 0"),
    (shared(tls_insecure_skip_verify=True), "tls_insecure_skip_verify", "no effect without tls_enabled"),
    (shared(tls_enabled=True, tls_insecure_skip_verify=True), "tls_insecure_skip_verify", "for tests only"),
    (shared(tls_ca_path="ca.pem"), "tls_ca_path", "no effect without tls_enabled"),
    (shared(cache_timeout_ms=150), "cache_timeout_ms", "not below deadline_ms"),
    (cache(db=1), "db", "no effect without an address"),
    (cache(username="router"), "username", "no effect without an address"),
    (cache(password="p"), "password", "no effect without an address"),
    (cache(password_file="p"), "password_file", "no effect without an address"),
    (cache(tls_enabled=True), "tls_enabled", "no effect without an address"),
    (cache(tls_insecure_skip_verify=True), "tls_insecure_skip_verify", "no effect without an address"),
    (cache(cluster=True), "cluster", "no effect without an address"),
    (cache(key_prefix="c:"), "key_prefix", "no effect without an address"),
    (cache(client_name="c"), "client_name", "no effect without an address"),
    (cache(cache_timeout_ms=200), "cache_timeout_ms", "no effect without an address"),
]


@pytest.mark.parametrize(("section", "key", "message"), EFFECTLESS)
def test_a_key_that_will_surprise_somebody(section: dict[str, object], key: str, message: str) -> None:
    (found,) = load(memory(enabled=True, redis_cache=section)).warnings
    assert found.startswith(f"{CACHE}.{key}: ")
    assert message in found


@pytest.mark.parametrize("key", ["client_cert_path", "client_key_path"])
@pytest.mark.parametrize("section", [cache(), shared()], ids=["without an address", "without TLS"])
def test_a_client_certificate_without_effect_is_mentioned(section: dict[str, object], key: str) -> None:
    paths = {"client_cert_path": "c.pem", "client_key_path": "k.pem"}
    found = load(memory(enabled=True, redis_cache={**section, **paths})).warnings
    assert len(found) == len(paths)
    assert any(text.startswith(f"{CACHE}.{key}: has no effect") for text in found)


@pytest.mark.parametrize("section", [section for section, _, _ in EFFECTLESS])
def test_a_cache_that_is_off_surprises_nobody(section: dict[str, object]) -> None:
    assert load(memory(enabled=True, redis_cache={**section, "enabled": False})).warnings == ()


@pytest.mark.parametrize(
    "section",
    [
        cache(coherence="bounded", epoch_max_age_ms=50),
        cache(ttl_seconds=60, embedding_ttl_seconds=0, local_mb=1, local_entries=1),
        cache(db=0, key_prefix="memory_cache:", password="", cluster=False),
        shared(db=1, cache_timeout_ms=149, username="router", password="p", client_name="gateway-cache"),
    ],
)
def test_a_section_that_means_what_it_says_has_no_warning(section: dict[str, object]) -> None:
    assert load(memory(enabled=True, redis_cache=section)).warnings == ()
