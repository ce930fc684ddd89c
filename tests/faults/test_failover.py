"""A failover while searches prefer replicas: writes go on as soon as the roles are settled."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.valkey.translate import translated
from router_memory.errors import BackendUnavailable
from router_memory.types import Scope
from tests.contract.samples import memories, memory, query
from tests.faults.stores import eventually, opened, stored

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnCluster
    from tests.servers.process import Server

ALICE = Scope("alice")
LONGEST = 5.0


@pytest.mark.full
@pytest.mark.alone
async def test_writes_go_on_after_a_failover(own_cluster: OwnCluster) -> None:
    """A connection for reads gets no MOVED from a replica: what writes must not be one."""
    cluster = own_cluster(search=True, replicas=1)
    number = cluster.node_of(f"{{{ALICE.user_digest}}}")
    replica = cluster.nodes[cluster.primaries + number]
    preferring = {"read_from": "prefer_replica"}
    async with opened(cluster.addresses, cluster=True, timeout=2.0, connection=preferring) as target:
        await target.add(ALICE, memories(ALICE, 5))
        await target.candidates(query(ALICE, 1))
        for turn, node in enumerate((replica, cluster.nodes[number])):
            node.ask("CLUSTER", "FAILOVER")
            await eventually(partial(_promoted, node))
            began = time.monotonic()
            await stored(target, ALICE, memory(ALICE, 100 + turn))
            assert time.monotonic() - began < LONGEST
            for each in range(20):  # nor do they fail now and then
                await target.add(ALICE, [memory(ALICE, 200 + 100 * turn + each)])
        assert await target.count(ALICE) == 47

        async def searched() -> bool:
            return len((await target.candidates(query(ALICE, 1))).candidates) > 0

        await eventually(searched, LONGEST)


async def _promoted(node: Server) -> bool:
    info = node.ask("INFO", "replication")
    return isinstance(info, bytes) and b"role:master" in info


def test_a_refusal_by_a_replica_is_retryable() -> None:
    """As a read-only connection words it for a script."""
    text = "Script attempted to access a non local key in a cluster node script: 5c, on @user_script:1."
    assert isinstance(translated(RuntimeError(text), "add", "host:1/0"), BackendUnavailable)
