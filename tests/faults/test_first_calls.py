"""The first calls of a store, when the server does not answer: all end in their own time, not one after the other."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from router_memory.errors import BackendTimeout, BackendUnavailable
from router_memory.types import Scope
from tests.contract.samples import memory, query
from tests.faults.stores import eventually, store, stored

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from router_memory.types import CandidateSet
    from tests.servers.fixtures import OwnServer

ALICE = Scope("alice")
TIMEOUT = 1.5


async def _seconds(call: Awaitable[object]) -> float:
    """How long a call took to say that the server is away."""
    began = time.monotonic()
    try:
        await call
    except (BackendTimeout, BackendUnavailable):
        return time.monotonic() - began
    raise AssertionError("a server that is stopped answered")


async def test_first_calls_do_not_wait_for_each_other(own_server: OwnServer) -> None:
    """They share one look at the server, each as long as it may; when the server is back so are they."""
    server = own_server(search=True)
    target = store([server.address], timeout=TIMEOUT)
    server.pause()
    try:
        await target.open()  # it starts without the server
        took = await asyncio.gather(*(_seconds(target.get(ALICE, "x")) for _ in range(8)))
        assert max(took) < 3 * TIMEOUT
        took = await asyncio.gather(*(_seconds(target.candidates(query(ALICE), within=0.05)) for _ in range(4)))
        assert max(took) < TIMEOUT
        both = asyncio.gather(_seconds(target.get(ALICE, "x")), _seconds(target.candidates(query(ALICE), within=0.05)))
        slow, quick = await both
        assert quick < TIMEOUT
        assert slow < 3 * TIMEOUT
        server.resume()
        await stored(target, ALICE, memory(ALICE, 1))
        await eventually(lambda: _found(target.candidates(query(ALICE))))
    finally:
        server.resume()
        await target.close()


async def _found(search: Awaitable[CandidateSet]) -> bool:
    return len((await search).candidates) == 1
