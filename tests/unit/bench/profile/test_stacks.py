"""Samples: whose time they are, and how they are folded."""

from __future__ import annotations

import asyncio

import pytest

from bench.profile.asking import figures
from bench.profile.stacks import ROOMS, awaited, folded, ours, room


@pytest.mark.parametrize(
    ("stack", "where"),
    [
        (("plugin.plugin:Plugin._serve",), "all else"),
        (("pipeline.cached:f", "pipeline.retrieval:f"), "all else"),
        (("pipeline.cached:f", "cache.embedder:f"), "embedding"),
        (("pipeline.cached:f", "cache.embedder:f", "cache.flights:Flight.answer"), "cache"),
        (("pipeline.cached:f", "cache.local:f"), "cache"),
        (("cache.epochs:f", "backends.embedded.owners:f"), "store"),
        (("ranking.ranked:f", "(numpy:argsort)"), "ranking"),
        (("ranking.ranked:f", "types.finding:__init__"), "ranking"),
        (("(background)", "backends.embedded.writes:f"), "store"),
        (("cached:f",), "all else"),
        (("(event loop)",), "event loop"),
    ],
)
def test_time_belongs_to_the_innermost_function_that_has_a_room(stack: tuple[str, ...], where: str) -> None:
    assert room(stack) == where
    assert where in ROOMS


def test_a_stack_begins_with_this_project() -> None:
    found = ours(["bench.x:f", "asyncio.events:_run", "router_memory.memory.plugin:f", "numpy:dot"])
    assert found == ("memory.plugin:f", "(numpy:dot)")
    assert ours(["asyncio.events:_run"]) == ()


def test_rare_functions_count_as_their_callers_and_no_sample_is_lost() -> None:
    stacks = {("a", "b", "c"): 1, ("a", "b", "d"): 1, ("a", "b"): 48, ("a",): 50}
    assert folded(stacks, 0.015) == {"a;b": 50, "a": 50}
    assert folded({("a", "b"): 1, ("c",): 999}, 0.01) == {"c": 999, "a": 1}


def test_rooms_and_functions_are_shares_of_the_request() -> None:
    found = figures({("plugin.plugin:f", "cache.local:get"): 3, ("plugin.plugin:f",): 1}, 200.0)
    assert found["samples"] == 4
    assert found["rooms"]["cache"] == {"share": 0.75, "microseconds": 150.0}
    assert found["rooms"]["store"]["share"] == 0.0
    assert list(found["functions"]) == ["cache.local:get", "plugin.plugin:f"]


async def test_who_waits_is_told_by_what_it_awaits() -> None:
    never = asyncio.Event()

    async def inner() -> None:
        await never.wait()

    async def outer() -> None:
        await inner()

    task = asyncio.create_task(outer())
    await asyncio.sleep(0)
    names = [name.rpartition(".")[2] for name in awaited(task.get_coro())]
    assert names == ["outer", "inner", "wait"]
    task.cancel()
