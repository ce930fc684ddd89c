"""A whole plugin over the embedded store, with an embedder that needs no model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin
from router_memory.config import load_config
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder

Opener = Callable[..., AbstractAsyncContextManager[MemoryPlugin]]

DECISIONS = [
    {
        "name": "wide",
        "plugins": [{"type": "memory", "configuration": {"retrieval_limit": 10, "similarity_threshold": 0.5}}],
    },
    {"name": "exact", "plugins": [{"type": "memory", "configuration": {"similarity_threshold": 1.0}}]},
    {
        "name": "on",
        "plugins": [{"type": "memory", "configuration": {"enabled": True, "similarity_threshold": 0.5}}],
    },
    {"name": "off", "plugins": [{"type": "memory", "configuration": {"enabled": False}}]},
    {"name": "read_only", "plugins": [{"type": "memory", "configuration": {"auto_store": False}}]},
]


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def opened(tmp_path: Path, embedder: HashingEmbedder) -> Opener:
    """Opens a plugin; keyword arguments go into the memory section."""

    @asynccontextmanager
    async def open_(**memory: Any) -> AsyncIterator[MemoryPlugin]:
        section: dict[str, Any] = {
            "enabled": True,
            "auto_store": True,
            "hybrid_search": True,
            "deadline_ms": 5000,
            "embedded": {"path": str(tmp_path / "memory.db")},
        }
        section.update(memory)
        source = {"global": {"stores": {"memory": section}}, "routing": {"decisions": DECISIONS}}
        async with MemoryPlugin(Assembly(load_config(source), lambda: embedder)) as plugin:
            yield plugin

    return open_
