"""Stores of two embedders on one collection after a flush: neither reads nor writes among the other's vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from router_memory.errors import IndexMismatch
from router_memory.types import Scope
from tests.contract.samples import change, ids, memories, memory, query
from tests.faults.stores import faults_of, opened, store
from tests.servers.census import census

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from router_memory.backends.valkey import ValkeyStore
    from tests.servers.fixtures import OwnServer
    from tests.servers.process import Server

ALICE = Scope("alice")
BOB = Scope("bob")
OTHER = "other/16/none"
"""Of the same dimension: nothing but the fingerprint tells the vectors apart."""

CALLS: dict[str, Callable[[ValkeyStore], Awaitable[object]]] = {
    "add": lambda store: store.add(ALICE, memories(ALICE, 40, 1_000)),
    "add what is there": lambda store: store.add(ALICE, [memory(ALICE, 1)]),
    "update": lambda store: store.update(ALICE, memory(ALICE, 1).record.id, change(memory(ALICE, 99))),
    "search": lambda store: store.candidates(query(ALICE, 1)),
    "search by stems": lambda store: store.candidates(query(ALICE, None, stems=("memory",))),
}


class Pair:
    """Two stores of different embedders; `after` came, flushed everything and wrote when `before` was at work."""

    def __init__(self, server: Server, before: ValkeyStore, after: ValkeyStore) -> None:
        self.server = server
        self.before = before
        self.after = after

    def stored(self) -> dict[str, dict[str, dict[bytes, bytes]]]:
        """Every memory by user and id."""
        users = census(self.server.host, self.server.port, "mem:").users
        return {user: found.records for user, found in users.items()}


@pytest.fixture
async def pair(own_server: OwnServer) -> AsyncIterator[Pair]:
    server = own_server(search=True)
    async with opened([server.address]) as before:
        await before.add(ALICE, memories(ALICE, 3))
        assert len((await before.candidates(query(ALICE))).candidates) == 3
        server.ask("FLUSHALL")
        async with opened([server.address], fingerprint=OTHER) as after:
            await after.add(ALICE, memories(ALICE, 3))
            yield Pair(server, before, after)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_the_first_call_among_anothers_vectors_is_refused(
    pair: Pair, call: Callable[[ValkeyStore], Awaitable[object]]
) -> None:
    """It changes nothing; nor does the next, and the other store goes on."""
    stored = pair.stored()
    for _ in range(2):
        with pytest.raises(IndexMismatch) as raised:
            await call(pair.before)
        assert raised.value.hint
    assert pair.stored() == stored
    result = await pair.after.candidates(query(ALICE))
    assert {found.record.id for found in result.candidates} == set(ids(memories(ALICE, 3)))
    assert faults_of(pair.server) == []


async def test_a_new_user_makes_a_store_look_again(pair: Pair) -> None:
    """Nothing says whose a new user may be; the second call is refused, and nobody mixes the vectors."""
    await pair.before.add(BOB, memories(BOB, 3))
    with pytest.raises(IndexMismatch):
        await pair.before.add(BOB, memories(BOB, 3, 100))
    with pytest.raises(IndexMismatch):
        await pair.before.candidates(query(BOB))
    stored = pair.stored()
    for call in (
        pair.after.add(BOB, memories(BOB, 3, 200)),
        pair.after.candidates(query(BOB)),
        pair.after.update(BOB, memory(BOB, 1).record.id, change(memory(BOB, 99))),
    ):
        with pytest.raises(IndexMismatch):
            await call
    assert pair.stored() == stored
    result = await pair.after.candidates(query(ALICE))  # its own users are no worse for it
    assert len(result.candidates) == 3
    assert await pair.after.forget_scope(BOB) == 3
    await pair.after.add(BOB, memories(BOB, 3, 200))
    assert np.isclose(max(found.cosine for found in (await pair.after.candidates(query(BOB, 201))).candidates), 1.0)
    assert faults_of(pair.server) == []


async def test_a_store_that_starts_anew_is_refused(pair: Pair) -> None:
    """As before: what the collection holds is written down."""
    fresh = store([pair.server.address])
    try:
        with pytest.raises(IndexMismatch):
            await fresh.open()
    finally:
        await fresh.close()
