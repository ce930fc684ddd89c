"""`config check` shows what a file comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

DEFAULT = Path(__file__).parents[3] / "config" / "config.yaml"


def test_each_decision_is_a_column_beside_the_globals(cli: Cli) -> None:
    ran = cli("config", "check", str(DEFAULT))
    assert ran.code == 0
    header = next(line for line in ran.out.splitlines() if "globals" in line)
    assert header.split() == ["globals", "personalized_route", "strict_route", "no_memory_route"]
    threshold = next(line for line in ran.out.splitlines() if line.startswith("threshold"))
    assert threshold.split() == ["threshold", "0.70", "0.60", "0.68", "0.70"]


def test_json_holds_the_resolved_policies(cli: Cli) -> None:
    checked = cli("config", "check", str(DEFAULT), "--json").json
    assert checked["decisions"]["no_memory_route"]["enabled"] is False
    assert checked["decisions"]["personalized_route"]["recall"]["limit"] == 10
    assert checked["globals"]["recall"]["limit"] == 5


def test_many_decisions_still_fit(cli: Cli, config: Path) -> None:
    decisions = "".join(f"    - name: decision_{n}\n" for n in range(8))
    config.write_text(config.read_text() + f"routing:\n  decisions:\n{decisions}")
    out = cli("config", "check", str(config)).out
    assert all(f"decision_{n}" in out for n in range(8))


def test_warnings_are_shown(cli: Cli, config: Path) -> None:
    config.write_text(config.read_text() + "      quality_scoring:\n        prune_threshold: 0.2\n")
    ran = cli("config", "check", str(config))
    assert ran.code == 0
    assert "nothing is pruned yet" in " ".join(ran.out.split())
    assert cli("config", "check", str(config), "--json").json["warnings"]


def test_an_error_names_file_key_and_the_nearest_key(cli: Cli, config: Path) -> None:
    config.write_text(config.read_text() + "      auto_stroe: true\n")
    ran = cli("config", "check", str(config))
    assert (ran.code, ran.out) == (2, "")
    assert str(config) in ran.error
    assert "auto_stroe" in ran.error
    assert "auto_store" in ran.error


def test_the_environment_names_the_file(cli: Cli, config: Path) -> None:
    assert cli("config", "check", "--json").json["file"] == str(config)


def test_secrets_are_not_printed(cli: Cli, config: Path) -> None:
    config.write_text(config.read_text() + "      valkey:\n        password: hunter2hunter2\n")
    assert "hunter2" not in cli("config", "check", str(config)).out
    assert "hunter2" not in cli("config", "check", str(config), "--json").out


def test_a_server_is_shown_with_what_tells_it_apart(cli: Cli, config: Path) -> None:
    config.write_text(
        """
global:
  stores:
    memory:
      enabled: true
      backend: valkey
      valkey: {cluster: true, addresses: ["a:1", "[::1]:2"], database: 3, password: hunter2hunter2}
"""
    )
    shown = cli("config", "check", str(config))
    assert shown.code == 0
    assert "a:1, [::1]:2" in shown.out
    store = cli("config", "check", str(config), "--json").json["store"]
    assert (store["cluster"], store["database"], store["encrypted"]) == (["a:1", "[::1]:2"], 3, False)
    assert "hunter2" not in shown.out + str(store)


SERVICE = """
global:
  stores:
    memory:
      enabled: true
      service:
        host: "::1"
        workers: 3
        models: [{name: assistant}]
        upstream: {url: "http://up:8000/v1", api_key: hunter2hunter2}
        auth:
          modes: [header, api_key]
          trusted_peers: [10.0.0.0/8]
          api_keys_file: keys.yaml
          admin_key: hunter2hunter2
"""


def test_the_service_is_shown_where_the_file_has_it(cli: Cli, config: Path) -> None:
    (config.parent / "keys.yaml").write_text("[]")
    config.write_text(SERVICE)
    shown = cli("config", "check", str(config))
    assert shown.code == 0
    assert "[::1]:8080" in shown.out
    assert "user header, API keys" in shown.out
    checked = cli("config", "check", str(config), "--json")
    service = checked.json["service"]
    assert (service["workers"], service["models"], service["admin_key"]) == (3, ["assistant"], True)
    assert service["chats_go_to"] == "http://up:8000/v1"
    assert "hunter2" not in shown.out + checked.out


def test_a_file_without_the_service_says_nothing_of_it(cli: Cli, config: Path) -> None:
    assert cli("config", "check", str(config), "--json").json["service"] == {}


def test_a_wrong_file_of_keys_is_found(cli: Cli, config: Path) -> None:
    config.write_text(SERVICE)
    ran = cli("config", "check", str(config))
    assert ran.code == 2
    assert "api_keys_file" in ran.error
    (config.parent / "keys.yaml").write_text("- {key_sha256: hunter2, users: [alice]}")
    ran = cli("config", "check", str(config))
    assert ran.code == 2
    assert "[0].key_sha256" in ran.error
    assert "hunter2" not in ran.error


def test_the_file_may_be_named_by_the_option_of_the_other_commands(cli: Cli) -> None:
    assert cli("config", "check", "--config", str(DEFAULT), "--json").json["file"] == str(DEFAULT)


def test_a_file_that_is_named_twice_is_refused(cli: Cli) -> None:
    ran = cli("config", "check", str(DEFAULT), "--config", str(DEFAULT))
    assert (ran.code, ran.out) == (2, "")
    assert "name the file once" in ran.error


def test_no_file_at_all_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTER_MEMORY_CONFIG")
    ran = cli("config", "check")
    assert (ran.code, ran.out) == (2, "")
    assert "FILE is missing" in ran.error


@pytest.mark.parametrize(("url", "warned"), [("http://models", 1), ("http://models/", 1), ("http://models/v1", 0)])
def test_an_upstream_without_a_path_is_a_warning(cli: Cli, config: Path, url: str, warned: int) -> None:
    config.write_text(config.read_text() + f"      service:\n        upstream: {{url: '{url}'}}\n")
    checked = cli("config", "check", str(config), "--json").json
    assert len([warning for warning in checked["warnings"] if "upstream.url: has no path" in warning]) == warned
