"""compose.yaml starts a server that keeps memories, and one that caches when asked, for this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from router_memory.config import load_config

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["valkey"]
CACHE = COMPOSE["services"]["cache"]
PORT = 6379
CACHE_PORT = 6380


def options(service: dict[str, Any]) -> dict[str, str]:
    program, *rest = service["command"]
    assert program == "valkey-server"
    return dict(option.removeprefix("--").split() for option in rest)


OPTIONS = options(SERVICE)


def test_the_image_is_pinned_to_a_release() -> None:
    name, _, tag = SERVICE["image"].partition(":")
    assert name == "valkey/valkey-bundle"
    assert tag.startswith("9.1")
    assert CACHE["image"] == f"valkey/valkey:{tag}"


def test_only_this_machine_may_connect() -> None:
    assert SERVICE["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert CACHE["ports"] == [f"127.0.0.1:{CACHE_PORT}:{PORT}"]


def test_what_was_written_is_kept() -> None:
    assert OPTIONS["appendonly"] == "yes"
    assert OPTIONS["search.max-worker-suspension-secs"] == "0"
    assert OPTIONS["search.skip-rdb-load"] == "yes"
    assert OPTIONS["maxmemory-policy"] == "noeviction"
    assert "maxmemory" in OPTIONS
    (volume,) = SERVICE["volumes"]
    assert volume.split(":")[0] in COMPOSE["volumes"]
    assert volume.split(":")[1] == "/data"


def test_compose_waits_until_the_server_answers() -> None:
    for service in (SERVICE, CACHE):
        assert service["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]


def test_the_cache_is_started_when_asked_and_not_else() -> None:
    assert "profiles" not in SERVICE
    assert CACHE["profiles"] == ["cache"]
    for place in ("compose.yaml", "config/cache.yaml"):
        assert "docker compose --profile cache up -d" in (ROOT / place).read_text()


def test_a_server_takes_the_options_of_the_cache_and_writes_nothing_to_a_disk(own_server: OwnServer) -> None:
    given = options(CACHE)
    assert given.pop("save") == '""'
    server = own_server(config={"save": "", **given})
    shown = [server.ask("CONFIG", "GET", name) for name in ("save", "appendonly", "maxmemory", "maxmemory-policy")]
    assert shown == [
        [b"save", b""],
        [b"appendonly", b"no"],
        [b"maxmemory", str(256 * 2**20).encode()],
        [b"maxmemory-policy", b"allkeys-lru"],
    ]
    assert "volumes" not in CACHE
    assert CACHE["tmpfs"] == ["/data"]


def test_the_example_configuration_and_the_tests_mean_this_server() -> None:
    config = load_config(ROOT / "config" / "valkey.yaml", environ={})
    assert config.memory.valkey.servers == (("localhost", PORT),)
    assert config.password("valkey") is None
    assert f"ROUTER_MEMORY_TEST_VALKEY=localhost:{PORT}" in (ROOT / "Makefile").read_text().replace(
        "$(VALKEY)", f"localhost:{PORT}"
    )


def test_the_example_configuration_of_the_cache_means_both_servers() -> None:
    config = load_config(ROOT / "config" / "cache.yaml", environ={})
    assert config.warnings == ()
    assert config.memory.valkey.servers == (("localhost", PORT),)
    assert config.memory.redis_cache.server == ("localhost", CACHE_PORT)
    assert config.password("redis_cache") is None
