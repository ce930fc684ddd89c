"""Calls with very many memories: they are cut into steps, so that nothing holds up the server."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from router_memory.types import Scope
from tests.contract.samples import START, ids, memories
from tests.faults.stores import faults_of, opened

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

ALICE = Scope("alice")
LATER = START + timedelta(days=900)


def _scripts(server: Server) -> int:
    """How many scripts the server has run."""
    counted = server.ask("INFO", "commandstats")
    assert isinstance(counted, bytes)
    return sum(map(int, re.findall(rb"cmdstat_eval(?:sha)?:calls=(\d+)", counted)))


@pytest.mark.parametrize("count", [1_500, pytest.param(20_000, marks=pytest.mark.full)])
async def test_many_memories_in_one_call(own_server: OwnServer, count: int) -> None:
    """Every one is touched as often as it is named, listed once and in order, and forgotten."""
    server = own_server(search=True)
    async with opened([server.address], promote_at=10**7, timeout=30.0) as target:
        names = ids(memories(ALICE, count))
        await target.add(ALICE, memories(ALICE, count))
        before = _scripts(server)
        await target.touch(ALICE, [*names, *names[:100], "nobody"], LATER)
        assert _scripts(server) - before > count / 200, "one script holds up the server for too many memories"
        page = await target.list(ALICE, limit=min(count - 1, 5_000))
        assert [record.id for record in page.records] == names[: -len(page.records) - 1 : -1]
        assert page.total == count
        rest = await target.list(ALICE, limit=count, cursor=page.cursor)
        assert [record.id for record in rest.records] == names[: count - len(page.records)][::-1]
        assert rest.cursor is None
        accesses = Counter(record.access_count for record in (*page.records, *rest.records))
        assert accesses == {1: count - 100, 2: 100}
        assert {record.accessed_at for record in page.records} == {LATER}
        assert await target.contains(ALICE, [*names, "nobody"]) == set(names)
        assert faults_of(server) == []
        assert await target.forget(ALICE, names) == count
