"""The embedded store keeps the contract: as configured, and with every user searched through the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.backends.embedded import EmbeddedStore
from tests.contract.samples import DIMENSION, FINGERPRINT
from tests.contract.store_contract import StoreContract

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router_memory.protocols import MemoryStore


async def opened(path: Path, **options: int) -> EmbeddedStore:
    """An open store that does not wait for the disk."""
    store = EmbeddedStore(path, dimension=DIMENSION, fingerprint=FINGERPRINT, synchronous="off", **options)
    await store.open()
    return store


class TestEmbedded(StoreContract):
    """Searches on snapshots."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        """A new file."""
        store = await opened(tmp_path / "memories.db")
        yield store
        await store.close()


class TestEmbeddedWithoutSnapshots(StoreContract):
    """Searches by SQL and exact scan: a user that does not fit into the cache."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        """A new file and a cache of no bytes."""
        store = await opened(tmp_path / "memories.db", cache_bytes=0)
        yield store
        await store.close()


class TestEmbeddedPromoted(StoreContract):
    """Searches with an HNSW graph from the first memory on, built while the test runs."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[MemoryStore]:
        """A new file on which every user is a large one."""
        store = await opened(tmp_path / "memories.db", promote_at=0)
        yield store
        await store.close()
