"""What a reload changed is named key by key, and never shows a value."""

from __future__ import annotations

from typing import Any

from router_memory.config import Config, load_config
from router_memory.service.changes import changes, needs_restart

_PATH = "global.stores.memory"


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
