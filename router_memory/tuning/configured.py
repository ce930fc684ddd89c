"""What tuning needs of a configuration file besides the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from router_memory.config.document import read_document
from router_memory.config.own import find_own_sections
from router_memory.config.problems import Problems

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory.config import Config

__all__ = ["configured_plugin", "without_cache"]


def configured_plugin(file: Path, decision: str) -> Mapping[str, Any]:
    """What stands under `configuration` in a decision's memory plugin, variables not expanded; empty without one.

    Raises:
        ConfigError: The file cannot be read.
    """
    own = find_own_sections(read_document(file), Problems(str(file)))
    found = next((entry.configuration for entry in own.plugins if entry.decision == decision), None)
    return dict(found) if isinstance(found, Mapping) else {}


def without_cache(config: Config) -> Config:
    """The same store without the hot cache, so that what is replayed drives nothing out of it."""
    cache = config.memory.redis_cache.model_copy(update={"enabled": False})
    return replace(config, memory=config.memory.model_copy(update={"redis_cache": cache}))
