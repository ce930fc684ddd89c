"""Totals over a cluster: without Search's coordinator, and for many users in slots of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from router_memory.backends.valkey import Connection
from router_memory.backends.valkey.totals import _USERS_ASKED, _sizes
from router_memory.errors import BackendRejected
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


class Counting:
    """A connection to a cluster that counts how many calls are under way at once."""

    cluster = True

    def __init__(self, *, failing: bool = False) -> None:
        self.now = self.most = 0
        self._failing = failing

    async def command(self, operation: str, *args: Any, key: str) -> list[bytes]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if self._failing:
            raise BackendRejected("no", backend="valkey", operation=operation)
        assert args[1].decode() == key
        return [key.encode(), b"1"]


@pytest.mark.parametrize("users", [0, 1, _USERS_ASKED, 3 * _USERS_ASKED + 1])
async def test_users_of_a_cluster_are_asked_many_at_a_time(users: int) -> None:
    """But not all at once, and the answers stay with their users."""
    connection = Counting()
    keys = [f"mem:meta:{{{number}}}".encode() for number in range(users)]
    sizes = await _sizes(cast("Connection", connection), keys)
    assert [documents for documents, _ in sizes] == keys
    assert connection.most == min(users, _USERS_ASKED)


async def test_a_failing_user_fails_the_count() -> None:
    """A total that leaves somebody out is none."""
    with pytest.raises(BackendRejected):
        await _sizes(cast("Connection", Counting(failing=True)), [b"mem:meta:{1}"])
