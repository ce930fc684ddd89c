"""Short ways to write a configuration in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.config import Config, load_config
from router_memory.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEMORY = "global.stores.memory"
PLUGIN = "routing.decisions[0].plugins[0].configuration"


def memory(**section: object) -> dict[str, object]:
    """A document with this memory section."""
    return {"global": {"stores": {"memory": section}}}


def decision(name: str = "route", **configuration: object) -> dict[str, object]:
    """A decision with this memory plugin."""
    return {"name": name, "plugins": [{"type": "memory", "configuration": configuration}]}


def document(section: Mapping[str, object], *decisions: object) -> dict[str, object]:
    """A document with this memory section and these decisions."""
    return {**memory(**section), "routing": {"decisions": list(decisions)}}


def load(source: Mapping[str, object] | Path, **environ: str) -> Config:
    """The configuration, with nothing in its environment but `environ` and a home."""
    return load_config(source, environ={"HOME": "/home/somebody", **environ})


def refused(source: Mapping[str, object] | Path, **environ: str) -> ConfigError:
    """The error that the configuration is refused with."""
    with pytest.raises(ConfigError) as caught:
        load(source, **environ)
    return caught.value


def written(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "router.yaml"
    path.write_text(text, encoding="utf-8")
    return path
