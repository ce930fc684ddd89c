"""What a reload changed is named key by key, and never shows a value."""

from __future__ import annotations

from typing import Any

import pytest

from router_memory.config import Config, load_config
from router_memory.errors import ConfigError
from router_memory.service.changes import changes, check_exposure, needs_restart

_PATH = "global.stores.memory"
GATEWAY = {"modes": ["header"], "trusted_peers": ["10.0.0.0/8"]}
ANYBODY = {"modes": ["header"]}
NOBODY = {"modes": ["api_key"], "api_keys_file": "keys.json"}
DEVELOPMENT = {"modes": ["development"]}


def config(decisions: dict[str, dict[str, Any]] | None = None, **memory: Any) -> Config:
    plugins = [
        {"name": name, "plugins": [{"type": "memory", "configuration": values}]}
        for name, values in (decisions or {}).items()
    ]
    return load_config({"global": {"stores": {"memory": memory}}, "routing": {"decisions": plugins}})


def test_nothing_differs_between_equal_configurations() -> None:
    assert changes(config(), config()) == ()


def test_keys_are_named_with_their_whole_path() -> None:
    after = config(deadline_ms=90, valkey={"password": "hunter2"})
    assert changes(config(), after) == (f"{_PATH}.deadline_ms", f"{_PATH}.valkey.password")


def test_a_decision_is_named_when_its_own_values_change_or_it_comes_or_goes() -> None:
    before = config({"a": {"retrieval_limit": 3}, "b": {}, "c": {}})
    after = config({"a": {"retrieval_limit": 4}, "b": {}, "d": {}})
    assert changes(before, after) == tuple(f"routing.decisions[{name}]" for name in "acd")


def test_a_changed_global_is_no_change_of_the_decisions_that_take_it() -> None:
    after = config({"a": {}}, default_retrieval_limit=9)
    assert changes(config({"a": {}}), after) == (f"{_PATH}.default_retrieval_limit",)


def test_what_is_settled_at_the_start_needs_a_restart() -> None:
    after = config(service={"port": 9000, "drain_seconds": 3.0})
    changed = changes(config(), after)
    assert changed == (f"{_PATH}.service.drain_seconds", f"{_PATH}.service.port")
    assert needs_restart(changed) == (f"{_PATH}.service.port",)


class TestExposure:
    """The address stays while the rules of who may ask change."""

    @pytest.mark.parametrize(
        ("before", "after", "key"),
        [
            (GATEWAY, DEVELOPMENT, "modes"),
            (ANYBODY, DEVELOPMENT, "modes"),
            (GATEWAY, ANYBODY, "trusted_peers"),
            (NOBODY, ANYBODY, "modes"),
        ],
    )
    def test_an_open_address_is_not_opened_to_everybody(
        self, before: dict[str, Any], after: dict[str, Any], key: str
    ) -> None:
        for bound in ("0.0.0.0", "::", "10.1.2.3"):
            with pytest.raises(ConfigError, match=f"auth.{key}"):
                check_exposure(self.of(before), self.of(after), bound=bound)
        check_exposure(self.of(before), self.of(after), bound="127.0.0.1")

    @pytest.mark.parametrize(
        ("before", "after"), [(ANYBODY, ANYBODY), (ANYBODY, GATEWAY), (GATEWAY, NOBODY), (GATEWAY, GATEWAY)]
    )
    def test_what_opens_nothing_is_taken(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        check_exposure(self.of(before), self.of(after), bound="0.0.0.0")

    @staticmethod
    def of(auth: dict[str, Any]) -> Config:
        return config(service={"host": "127.0.0.1", "auth": auth})
