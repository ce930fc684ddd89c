"""The channel between parent and worker."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router_memory.errors import ConfigError
from router_memory.serving import channel as channels
from router_memory.serving.channel import Channel, ChannelClosed, Handler


@asynccontextmanager
async def pair(
    left: Mapping[str, Handler] | None = None, right: Mapping[str, Handler] | None = None
) -> AsyncIterator[tuple[Channel, Channel]]:
    one, other = socket.socketpair()
    ends = [await Channel.over(one, left or {}), await Channel.over(other, right or {})]
    running = [asyncio.create_task(end.run()) for end in ends]
    yield ends[0], ends[1]
    for end in ends:
        end.close()
    await asyncio.gather(*running)


async def double(number: int) -> int:
    return number * 2


async def test_either_side_may_ask() -> None:
    async with pair({"double": double}, {"double": double}) as (one, other):
        assert await one.ask("double", within=5, number=2) == 4
        assert await other.ask("double", within=5, number=3) == 6


async def test_a_handler_may_ask_back() -> None:
    """A reload does: the worker asks the parent, which asks that very worker to prepare."""
    ends: list[Channel] = []

    async def twice(number: int) -> Any:
        return await ends[1].ask("double", within=5, number=number)

    async with pair({"double": double}, {"twice": twice}) as both:
        ends.extend(both)
        assert await both[0].ask("twice", within=5, number=4) == 8


async def test_answers_may_come_in_any_order() -> None:
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow"

    async with pair(right={"slow": slow, "double": double}) as (one, _):
        waiting = asyncio.create_task(one.ask("slow", within=5))
        assert await one.ask("double", within=5, number=1) == 2
        gate.set()
        assert await waiting == "slow"


async def test_errors_come_through() -> None:
    async def refuse() -> None:
        raise ConfigError("must be positive", key_path="a.b")

    async with pair(right={"refuse": refuse}) as (one, _):
        with pytest.raises(ConfigError, match=r"a\.b: must be positive"):
            await one.ask("refuse", within=5)


async def test_a_question_nobody_answers_is_refused() -> None:
    async with pair() as (one, _):
        with pytest.raises(Exception, match="does not answer 'what'"):
            await one.ask("what", within=5)


async def test_an_answer_that_is_late_is_given_up() -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    async with pair(right={"never": never}) as (one, _):
        with pytest.raises(ChannelClosed, match="no answer"):
            await one.ask("never", within=0.01)


async def test_the_end_of_the_other_side_ends_what_is_open() -> None:
    async def leave() -> None:
        other.close()

    async with pair(right={"leave": leave}) as (one, other):
        with pytest.raises(ChannelClosed):
            await one.ask("leave", within=5)
        with pytest.raises(ChannelClosed):
            await one.ask("leave", within=5)


async def test_what_is_too_long_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_LINE_BYTES", 1000)
    async with pair(right={"double": double}) as (one, _):
        with pytest.raises(ChannelClosed, match="too long"):
            await one.ask("double", within=5, number="x" * 1000)
        assert await one.ask("double", within=5, number=1) == 2


async def test_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_UNDER_WAY", 2)
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()

    async with pair(right={"slow": slow}) as (one, _):
        waiting = [asyncio.create_task(one.ask("slow", within=5)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ChannelClosed, match="too many"):
            await one.ask("slow", within=5)
        gate.set()
        await asyncio.gather(*waiting)
