"""Memories whose hashes somebody else wrote over: they can be deleted, with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.backends.valkey.keys import Keys
from router_memory.errors import BackendRejected
from router_memory.types import Scope
from tests.contract.samples import memories, memory, query
from tests.faults.stores import faults_of, opened
from tests.servers.census import census

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

ALICE = Scope("alice")

DAMAGE = {
    "no JSON": "garbage",
    "half of it": '["home",null,null,null,0,"0"]\0["text",',
    "empty": "",
    "empty lists": "[]\0[]",
    "nothing": "null\0null",
    "no numbers": '[null,null,null,null,0,"0"]\0["text","many",{},"some"]',
}


def _orphans(server: Server) -> dict[tuple[int, str], dict[bytes, bytes]]:
    """Vectors beside the first one that no memory has."""
    users = census(server.host, server.port, "mem:").users.values()
    return {key: row for user in users for key, row in user.parts.items() if key[1] not in user.records}


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE.keys())
async def test_forgetting_a_damaged_memory_leaves_no_vectors(own_server: OwnServer, text: str) -> None:
    """It goes with its vectors, and what is left is searched, counted and listed as before."""
    server = own_server(search=True)
    keys = Keys.of("mem:", ALICE)
    async with opened([server.address]) as target:
        long, others = memory(ALICE, 1, rows=5), memories(ALICE, 3, 10)
        await target.add(ALICE, [long, *others])
        server.ask("HSET", keys.record(long.record.id), "memory", text)
        assert await target.forget(ALICE, [long.record.id, others[0].record.id]) == 2
        assert _orphans(server) == {}
        assert (await target.statistics(ALICE, ("memory",))).documents == 2
        assert await target.count(ALICE) == 2
        assert len((await target.list(ALICE)).records) == 2
        result = await target.candidates(query(ALICE))
        assert len(result.candidates) == 2
        assert not result.partial
        assert await target.forget_scope(ALICE) == 2
        assert census(server.host, server.port, "mem:").keys == 0


@pytest.mark.parametrize("text", DAMAGE.values(), ids=DAMAGE.keys())
async def test_a_damaged_memory_alone_leaves_nothing(own_server: OwnServer, text: str) -> None:
    """The user is as one who never was there."""
    server = own_server(search=True)
    async with opened([server.address]) as target:
        long = memory(ALICE, 1, rows=3)
        await target.add(ALICE, [long])
        server.ask("HSET", Keys.of("mem:", ALICE).record(long.record.id), "memory", text)
        assert await target.forget_scope(ALICE) == 1
        assert census(server.host, server.port, "mem:").keys == 0
        assert (await target.statistics(ALICE, ("memory",))).documents == 0
        assert (await target.candidates(query(ALICE))).candidates == ()
        await target.add(ALICE, [long])
        assert faults_of(server) == []


@pytest.mark.parametrize("field", ["documents", "vectors", "length", "n:semantic", "df:memory"])
async def test_a_count_that_is_no_number_is_told(own_server: OwnServer, field: str) -> None:
    """By whoever needs it, and by nobody else; nothing is lost."""
    server = own_server(search=True)
    meta = Keys.of("mem:", ALICE).meta
    async with opened([server.address]) as target:
        await target.add(ALICE, memories(ALICE, 3))
        calls: dict[str, tuple[Callable[[], Awaitable[object]], set[str]]] = {
            "candidates": (lambda: target.candidates(query(ALICE)), {"documents", "vectors"}),
            "statistics": (lambda: target.statistics(ALICE, ("memory",)), {"documents", "length", "df:memory"}),
            "count": (lambda: target.count(ALICE), {"n:semantic"}),
            "list": (lambda: target.list(ALICE), {"n:semantic"}),
            "stats": (target.stats, {"documents", "vectors"}),
        }
        before = server.ask("HGET", meta, field)
        assert isinstance(before, bytes)
        server.ask("HSET", meta, field, "many")
        for call, needed in calls.values():
            if field in needed:
                with pytest.raises(BackendRejected, match="the data are damaged: a count of a user is no number"):
                    await call()
            else:
                await call()
        server.ask("HSET", meta, field, before)
        assert len((await target.candidates(query(ALICE))).candidates) == 3
