"""Totals over a cluster without Search's coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.types import CheckStatus, Scope
from tests.contract.samples import memories, query
from tests.faults.stores import opened
from tests.servers.find import NO_SEARCH, find

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnCluster

USERS = 12


@pytest.mark.full
async def test_a_cluster_without_the_coordinator_is_counted(own_cluster: OwnCluster) -> None:
    """Each node is asked by itself; one that nobody has searched yet has no index, and that is no fault."""
    module = find().module
    if module is None:
        pytest.skip(NO_SEARCH)
    cluster = own_cluster(config={"loadmodule": str(module)})
    async with opened(cluster.addresses, cluster=True) as target:
        scopes = [Scope(f"user-{number}") for number in range(USERS)]
        await target.add(scopes[0], memories(scopes[0], 3))
        early = await target.stats()
        assert (early.users, early.memories) == (1, 3)
        for scope in scopes[1:]:
            await target.add(scope, memories(scope, 3))
        for scope in scopes:
            assert len((await target.candidates(query(scope, 1))).candidates) == 3
        nodes = {cluster.node_of(f"{{{scope.user_digest}}}") for scope in scopes}
        assert len(nodes) == cluster.primaries
        stats = await target.stats()
        found = {finding.name: finding for finding in await target.examine()}

    assert (stats.users, stats.memories, stats.details["indexed"]) == (USERS, 3 * USERS, 3 * USERS)
    assert stats.details["index_ready"]
    assert [name for name, finding in found.items() if finding.status is CheckStatus.FAIL] == []
    assert found["index"].status is CheckStatus.OK
    assert found["index"].data["documents"] == 3 * USERS
