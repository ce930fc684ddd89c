"""Finds what is ours in a router's configuration and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from router_memory.config.model import FOREIGN_STORES
from router_memory.config.nearest import nearest
from router_memory.config.plugin_model import PluginSection
from router_memory.config.problems import Problems

__all__ = ["MEMORY_PATH", "OwnSections", "PluginEntry", "find_own_sections"]

MEMORY_PATH = "global.stores.memory"
_PLUGIN_TYPE = "memory"


@dataclass(frozen=True, slots=True)
class PluginEntry:
    """The memory plugin of one decision.

    Attributes:
        decision: The decision's name.
        key_path: Where its `configuration` stands.
        configuration: What stands there, not validated.
    """

    decision: str
    key_path: str
    configuration: object


@dataclass(frozen=True, slots=True)
class OwnSections:
    """What is ours in one document.

    Attributes:
        memory: The memory section, not validated; None when it is absent or empty.
        decisions: The names of all decisions, with a memory plugin or without.
        plugins: Their memory plugins.
    """

    memory: object
    decisions: tuple[str, ...]
    plugins: tuple[PluginEntry, ...]


def find_own_sections(document: Mapping[Any, object], problems: Problems) -> OwnSections:
    """The memory section, and each decision's memory plugin. What encloses them must have the right shape."""
    stores = _mapping(_mapping(document.get("global"), "global", problems).get("stores"), "global.stores", problems)
    memory = stores.get("memory")
    if isinstance(memory, Mapping):
        memory = {key: value for key, value in memory.items() if key not in FOREIGN_STORES}
    routing = _mapping(document.get("routing"), "routing", problems)
    names: dict[str, str] = {}
    plugins: list[PluginEntry] = []
    for path, decision in _mappings(routing.get("decisions"), "routing.decisions", problems):
        name = decision.get("name")
        if isinstance(name, str):
            if name in names:
                problems.add(f"{path}.name", f"decision {name!r} is defined at {names[name]} already")
            names.setdefault(name, path)
        entry = _memory_plugin(decision, path, problems)
        if entry is not None:
            plugins.append(entry)
    return OwnSections(memory, tuple(names), tuple(plugins))


def _memory_plugin(decision: Mapping[object, object], path: str, problems: Problems) -> PluginEntry | None:
    found = [
        (plugin_path, plugin)
        for plugin_path, plugin in _mappings(decision.get("plugins"), f"{path}.plugins", problems)
        if plugin.get("type") == _PLUGIN_TYPE
    ]
    if not found:
        return None
    name = decision.get("name")
    if not isinstance(name, str) or not name:
        problems.add(f"{path}.name", "a decision with a memory plugin needs a name that is a string")
        return None
    for again, _ in found[1:]:
        problems.add(again, f"decision {name!r} has a memory plugin at {found[0][0]} already")
    plugin_path, plugin = found[0]
    for key in plugin:
        if key not in ("type", "configuration"):
            _unknown_entry_key(str(key), plugin_path, name, problems)
    return PluginEntry(name, f"{plugin_path}.configuration", plugin.get("configuration"))


def _unknown_entry_key(key: str, path: str, decision: str, problems: Problems) -> None:
    ours = nearest(key, PluginSection.model_fields)
    outer = nearest(key, ("type", "configuration"))
    hint = f"did you mean {outer!r}?" if outer else "valid: type, configuration"
    if ours and not outer:
        hint = f"did you mean {ours!r} under 'configuration'?"
    problems.of_decision(decision).add(f"{path}.{key}", "unknown key in a memory plugin", hint)


def _mapping(value: object, path: str, problems: Problems) -> Mapping[Any, object]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    problems.add(path, "must be a mapping")
    return {}


def _mappings(value: object, path: str, problems: Problems) -> Iterator[tuple[str, Mapping[object, object]]]:
    if value is None:
        return
    if not isinstance(value, list | tuple):
        problems.add(path, "must be a list")
        return
    for index, item in enumerate(value):
        yield f"{path}[{index}]", _mapping(item, f"{path}[{index}]", problems)
