"""The Valkey store keeps the contract: exact, through one graph, through graphs of large users, on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.store_contract import StoreContract
from tests.servers.stores import store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.protocols import MemoryStore
    from tests.servers.cluster import Cluster
    from tests.servers.process import Endpoint


class TestValkey(StoreContract):
    """As configured by default."""

    @pytest.fixture
    async def store(self, search_server: Endpoint) -> AsyncIterator[MemoryStore]:
        """On a prefix of its own."""
        async with store_on([search_server.address]) as store:
            yield store


class TestValkeyPromoted(StoreContract):
    """Every user is a large one and gets a graph while the test runs."""

    @pytest.fixture
    async def store(self, search_server: Endpoint) -> AsyncIterator[MemoryStore]:
        """Promotes from the first vector on."""
        async with store_on([search_server.address], promote_at=0) as store:
            yield store


class TestValkeyOneGraph(StoreContract):
    """One HNSW index over everybody, by another metric."""

    @pytest.fixture
    async def store(self, search_server: Endpoint) -> AsyncIterator[MemoryStore]:
        """Searches broadly enough to be exact on the few memories of these tests."""
        async with store_on([search_server.address], index_type="hnsw", metric="L2", ef_runtime=2_000) as store:
            yield store


class TestValkeyCluster(StoreContract):
    """Three nodes, inner product."""

    @pytest.fixture
    async def store(self, search_cluster: Cluster) -> AsyncIterator[MemoryStore]:
        """On a prefix of its own."""
        async with store_on(search_cluster.addresses, cluster=True, metric="IP") as store:
            yield store
