"""The configuration a demonstration runs under: a file's, with its data in a place of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from router_memory.config import Config, load_config
from router_memory.config.document import read_document
from router_memory.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["default_config_file", "isolated", "writing_decision"]

_PACKAGED = Path(__file__).with_name("config.yaml")
_CHECKOUT = Path(__file__).parents[2] / "config" / "config.yaml"


def default_config_file() -> Path:
    """The default configuration: the wheel's copy, or the file it is copied from in a checkout.

    Raises:
        ConfigError: Neither is there.
    """
    for path in (_PACKAGED, _CHECKOUT):
        if path.is_file():
            return path
    raise ConfigError("the default configuration is not installed", file=str(_PACKAGED), hint="pass --config FILE")


def isolated(file: Path, data: Path) -> Mapping[str, Any]:
    """What the file says, with an embedded store at `data` and no shared cache: an operator's data stay untouched.

    Raises:
        ConfigError: The file is wrong; the message names it.
    """
    load_config(file)
    document: dict[Any, Any] = dict(read_document(file))
    outer = dict(document.get("global") or {})
    stores = dict(outer.get("stores") or {})
    memory = dict(stores.get("memory") or {})
    memory["backend"] = "embedded"
    memory["embedded"] = {**(memory.get("embedded") or {}), "path": str(data)}
    memory["redis_cache"] = {**(memory.get("redis_cache") or {}), "enabled": False}
    stores["memory"] = memory
    outer["stores"] = stores
    document["global"] = outer
    return document


def writing_decision(config: Config, file: Path) -> str | None:
    """The decision conversations are replayed under: the first that reads and stores; None for the globals.

    Raises:
        ConfigError: Nothing would be stored.
    """
    choices: tuple[str | None, ...] = (*config.decisions, None)
    for decision in choices:
        policy = config.policy(decision)
        if policy.enabled and policy.auto_store:
            return decision
    raise ConfigError(
        "no decision has memory enabled and stores turns, so there is nothing to demonstrate",
        file=str(file),
        hint="set enabled and auto_store to true under global.stores.memory or for one decision",
    )
