"""The end of a worker, without its processes."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from router_memory.config import Config, load_config
from router_memory.serving.channel import ChannelClosed
from router_memory.serving.life import Life
from router_memory.serving.material import Material


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


class Slow:
    """A service that opens what it is told to once the test lets it."""

    def __init__(self) -> None:
        self.config = load_config({})
        self.gates: list[asyncio.Event] = []
        self.prepared: list[Config] = []

    async def prepare(self, config: Config) -> None:
        self.gates.append(asyncio.Event())
        await self.gates[-1].wait()
        self.prepared = [config]

    async def abandon(self) -> None:
        self.prepared = []

    async def opening(self, count: int) -> None:
        while len(self.gates) < count:  # noqa: ASYNC110 - it has no event for that
            await asyncio.sleep(0)


def limited_to(count: int) -> dict[str, Any]:
    """The second configuration of a service, as the parent sends it."""
    return Material(2, overrides={"default_retrieval_limit": count}).carried()


async def test_what_the_parent_gave_up_takes_no_place_of_what_it_came_with_next(life: Life) -> None:
    """The first is still being opened when the second comes, under the same number."""
    service = Slow()
    life._service = service  # type: ignore[assignment]
    first = asyncio.create_task(life._prepare(limited_to(3), Material(1).carried()))
    await service.opening(1)
    await life._abandon()
    second = asyncio.create_task(life._prepare(limited_to(4), Material(1).carried()))
    service.gates[0].set()
    with pytest.raises(ChannelClosed):
        await first
    await service.opening(2)
    service.gates[1].set()
    await second
    assert [config.memory.default_retrieval_limit for config in service.prepared] == [4]


def _service(drain: Any) -> Any:
    return SimpleNamespace(opened=True, generation=SimpleNamespace(memory=SimpleNamespace(drain=drain)))
