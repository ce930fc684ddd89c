"""The end of a worker, without its processes."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from router_memory.config import load_config
from router_memory.serving.life import Life


@pytest.fixture
def life() -> Iterator[Life]:
    with socket.socket() as listener:
        yield Life(0, [listener])
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize(("seconds", "kept"), [(20.0, 5.0), (4.0, 2.0), (0.0, 0.0)])
async def test_the_queue_has_its_share_of_the_time(life: Life, seconds: float, kept: float) -> None:
    """What `write.drain_seconds` says, and no more than half."""
    stopped: list[float] = []
    life._config = load_config({})
    life._server = SimpleNamespace(stop=stopped.append)  # type: ignore[assignment]
    life._begin_to_end(seconds)
    assert stopped == [seconds - kept]


async def test_the_kernel_sees_to_an_end(life: Life) -> None:
    life._begin_to_end(30.0)
    assert 30 < signal.getitimer(signal.ITIMER_REAL)[0] <= 32


async def test_told_twice_it_ends_as_told_first(life: Life) -> None:
    life._begin_to_end(30.0)
    until = life._until
    life._begin_to_end(1.0)
    assert life._until == until


async def test_the_queue_has_all_the_time_that_is_left(life: Life) -> None:
    drained = asyncio.Event()

    async def drain() -> None:
        drained.set()

    await life._store_turns(_service(drain), 5.0)
    assert drained.is_set()


async def test_a_queue_that_takes_longer_is_given_up(life: Life) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    await life._store_turns(_service(never), 0.01)


def _service(drain: Any) -> Any:
    return SimpleNamespace(opened=True, generation=SimpleNamespace(memory=SimpleNamespace(drain=drain)))
