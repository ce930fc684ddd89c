"""The real stores take what the configuration gives."""

from __future__ import annotations

import pytest

from router_memory.config import load_config
from router_memory.wiring.stores import store_of as _store
from tests.doubles import HashingEmbedder


@pytest.mark.parametrize("embedder", [HashingEmbedder(), None], ids=["with a model", "without one"])
@pytest.mark.parametrize("backend", ["embedded", "valkey"])
async def test_the_configured_backend_is_made_and_nothing_is_connected(
    backend: str, embedder: HashingEmbedder | None
) -> None:
    config = load_config({"global": {"stores": {"memory": {"enabled": True, "backend": backend}}}})
    store = _store(config, embedder)
    assert store.name == backend
    await store.close()
