"""The main index while the server does not answer."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from router_memory.backends.valkey.connection import Connection
from router_memory.backends.valkey.index import MainIndex
from router_memory.cache import Begun
from router_memory.errors import BackendTimeout


class Silent:
    """A server that takes every command and answers none."""

    timeout = 0.01
    location = "silent:1/0"

    async def command(self, *_: object, **__: object) -> object:
        return await asyncio.get_running_loop().create_future()


def index() -> MainIndex:
    shape: Any = None
    return MainIndex(cast("Connection", Silent()), name="i", prefix="p", layout=None, shape=shape)


async def test_a_call_that_is_begun_is_late_alone() -> None:
    """The cache begins a read, looks elsewhere meanwhile, and may leave the rest of it to another task."""
    seen_to = Begun(index().ensure("statistics"))
    elsewhere = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, elsewhere.set_result, "found")
    assert await elsewhere == "found"
    with pytest.raises(BackendTimeout):
        await seen_to


async def test_who_waits_less_leaves_the_others_waiting() -> None:
    """All of them for the same look at the server."""
    waiting = index()
    patient = asyncio.create_task(waiting.ensure("add", within=60.0))
    await asyncio.sleep(0)
    with pytest.raises(BackendTimeout):
        await waiting.ensure("candidates", within=0.001)
    assert not patient.done()
    patient.cancel()
    await asyncio.wait({patient})
    assert waiting._verifying is not None
    assert not waiting._verifying.done()
    waiting._verifying.cancel()
