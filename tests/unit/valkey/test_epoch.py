"""The epoch of the Valkey store: one command, the same for every process, gone with the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from router_memory.errors import BackendRejected
from router_memory.types import Scope
from tests.contract.samples import memory
from tests.servers.stores import fresh_names, store_on

if TYPE_CHECKING:
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Endpoint

ALICE = Scope("alice")


async def test_two_stores_on_one_server_agree(search_server: Endpoint) -> None:
    """Each sees the other's write in its next call."""
    names: dict[str, Any] = fresh_names()
    async with store_on([search_server.address], **names) as one, store_on([search_server.address], **names) as two:
        seen = [await two.epoch(ALICE)]
        for seed in range(5):
            writer, reader = (one, two) if seed % 2 else (two, one)
            await writer.add(ALICE, [memory(ALICE, seed)])
            seen.append(await reader.epoch(ALICE))
            assert await writer.epoch(ALICE) == seen[-1]
        await one.forget_scope(ALICE)
        assert await two.epoch(ALICE) == seen[0] == ""
        assert len(set(seen)) == len(seen)


async def test_a_server_that_was_flushed_starts_anew(own_server: OwnServer) -> None:
    """Without data there is no epoch, and that of the same data written again is another."""
    server = own_server(search=True)
    async with store_on([server.address]) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        before = await store.epoch(ALICE)
        server.ask("FLUSHALL")
        assert await store.epoch(ALICE) == ""
        await store.add(ALICE, [memory(ALICE, 1)])
        assert await store.epoch(ALICE) not in {"", before}


async def test_it_takes_one_command(own_server: OwnServer) -> None:
    """Nothing else is asked."""
    server = own_server(search=True)
    async with store_on([server.address]) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        await store.epoch(ALICE)
        server.ask("CONFIG", "RESETSTAT")
        for _ in range(7):
            await store.epoch(ALICE)
        statistics = server.ask("INFO", "commandstats")
        assert isinstance(statistics, bytes)
        assert b"cmdstat_hmget:calls=7," in statistics
        assert statistics.count(b"cmdstat_") == statistics.count(b"cmdstat_hmget") + statistics.count(b"cmdstat_config")


@pytest.mark.parametrize(
    ("field", "value", "finding"), [("user", b"mallory", "another user"), ("epoch", b"\xff", "damaged")]
)
async def test_what_it_cannot_be_is_a_typed_error(
    search_server: Endpoint, field: str, value: bytes, finding: str
) -> None:
    """The statistics say the same."""
    names: dict[str, Any] = fresh_names()
    async with store_on([search_server.address], **names) as store:
        await store.add(ALICE, [memory(ALICE, 1)])
        search_server.ask("HSET", f"{names['prefix']}meta:{{{ALICE.user_digest}}}", field, value)
        with pytest.raises(BackendRejected, match=finding):
            await store.epoch(ALICE)
        with pytest.raises(BackendRejected, match=finding):
            await store.statistics(ALICE, [])
