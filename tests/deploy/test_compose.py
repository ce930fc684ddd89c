"""compose.yaml starts a server that keeps memories, for this machine alone."""

from __future__ import annotations

from pathlib import Path

import yaml

from router_memory.config import load_config

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICE = COMPOSE["services"]["valkey"]
OPTIONS = dict(option.removeprefix("--").split() for option in SERVICE["command"][1:])
PORT = 6379


def test_the_image_is_pinned_to_a_release() -> None:
    name, _, tag = SERVICE["image"].partition(":")
    assert name == "valkey/valkey-bundle"
    assert tag.startswith("9.1")


def test_only_this_machine_may_connect() -> None:
    assert SERVICE["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]


def test_what_was_written_is_kept() -> None:
    assert OPTIONS["appendonly"] == "yes"
    assert OPTIONS["search.max-worker-suspension-secs"] == "0"
    assert OPTIONS["maxmemory-policy"] == "noeviction"
    assert "maxmemory" in OPTIONS
    (volume,) = SERVICE["volumes"]
    assert volume.split(":")[0] in COMPOSE["volumes"]
    assert volume.split(":")[1] == "/data"


def test_compose_waits_until_the_server_answers() -> None:
    assert SERVICE["healthcheck"]["test"] == ["CMD", "valkey-cli", "ping"]


def test_the_example_configuration_and_the_tests_mean_this_server() -> None:
    config = load_config(ROOT / "config" / "valkey.yaml", environ={})
    assert config.memory.valkey.servers == (("localhost", PORT),)
    assert config.password("valkey") is None
    assert f"ROUTER_MEMORY_TEST_VALKEY=localhost:{PORT}" in (ROOT / "Makefile").read_text().replace(
        "$(VALKEY)", f"localhost:{PORT}"
    )
