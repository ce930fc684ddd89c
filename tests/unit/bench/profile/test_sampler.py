"""The sampler: what a signal in the middle of a request is counted as."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from bench.profile.sampler import TASKS, Sampler

_REQUEST = """
async def request(work):
    return await work()

async def answered(signalled):
    signalled()

async def hang(never, begun):
    begun.set()
    await never.wait()
"""


def project() -> dict[str, Any]:
    """Functions that pass for the project's own."""
    names: dict[str, Any] = {"__name__": "router_memory.demo"}
    exec(_REQUEST, names)
    return names


def signalled() -> None:
    signal.raise_signal(signal.SIGALRM)


async def test_what_runs_is_counted_with_its_callers() -> None:
    names = project()
    sampler = Sampler(1)
    with sampler.running():
        await names["request"](lambda: names["answered"](signalled))
    assert any(stack[0] == "demo:request" and "demo:answered" in stack for stack in sampler.stacks)


async def test_a_task_that_answers_stands_behind_the_request() -> None:
    names = project()
    sampler = Sampler(1)

    async def work() -> None:
        await asyncio.create_task(names["answered"](signalled), name=TASKS[0])

    with sampler.running():
        await names["request"](work)
    assert any(
        "demo:answered" in stack and stack.index("demo:answered") > stack.index("demo:request")
        for stack in sampler.stacks
        if "demo:request" in stack
    )


async def test_a_task_of_another_name_is_background() -> None:
    names = project()
    sampler = Sampler(1)

    async def work() -> None:
        await asyncio.create_task(names["answered"](signalled), name="other")

    with sampler.running():
        await names["request"](work)
    assert any(stack[:2] == ("(background)", "demo:answered") for stack in sampler.stacks)


async def test_the_handler_before_it_is_put_back() -> None:
    before: Callable[..., Any] | int | None = signal.getsignal(signal.SIGALRM)
    with Sampler(1).running():
        assert signal.getsignal(signal.SIGALRM) is not before
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
