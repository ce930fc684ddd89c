"""What is sampled of a memory while it serves, across reloads."""

from __future__ import annotations

import pytest

from router_memory.telemetry import Telemetry
from tests.doubles import HashingEmbedder
from tests.unit.conftest import Opener
from tests.unit.telemetry.reading import value_of

MESSAGES = [{"role": "user", "content": "When did Joanna plant the apple tree?"}]


async def test_turns_that_wait_are_seen_and_counted_when_they_are_stored(
    opened: Opener, embedder: HashingEmbedder
) -> None:
    telemetry = Telemetry()
    async with opened() as memory:
        telemetry.watch(memory)
        outcome = await memory.on_request(decision="wide", user_id="alice", messages=MESSAGES)
        embedder.gate.clear()
        telemetry.receipt(await memory.on_response(outcome, "In March, behind the house where the pear tree was."))
        waiting = value_of(telemetry, "llm_memory_write_queue_turns")
        embedder.gate.set()
        await memory.drain()

        assert waiting == 1
        assert value_of(telemetry, "llm_memory_write_queue_turns") == 0
        assert value_of(telemetry, "llm_memory_writes_total", status="stored") == 2
    await telemetry.close()


async def test_level_one_and_its_events_are_seen(opened: Opener) -> None:
    telemetry = Telemetry()
    async with opened(redis_cache={"enabled": True}) as memory:
        telemetry.watch(memory)
        for _ in range(3):
            outcome = await memory.on_request(decision="wide", user_id="alice", messages=MESSAGES)
            telemetry.request(outcome, interface="chat")

        assert value_of(telemetry, "llm_memory_cache_entries", kind="answers") == 1
        assert value_of(telemetry, "llm_memory_cache_events_total", event="level_1_hit") == 2
        assert value_of(telemetry, "llm_memory_cache_events_total", event="miss") == 1
        assert value_of(telemetry, "llm_memory_cache_hits_total") == 2
        assert value_of(telemetry, "llm_memory_cache_answers_total", level="level_1") == 2
        assert (value_of(telemetry, "llm_memory_cache_bytes") or 0) > 0
    await telemetry.close()


async def test_the_backlog_of_the_embedder_is_seen(opened: Opener, embedder: HashingEmbedder) -> None:
    telemetry = Telemetry()
    async with opened() as memory:
        embedder.backlog = 0.75
        telemetry.watch(memory)

        assert value_of(telemetry, "llm_memory_embedder_backlog_seconds") == 0.75
    await telemetry.close()


async def test_the_backend_is_named_before_anything_happens(opened: Opener) -> None:
    telemetry = Telemetry()
    async with opened() as memory:
        telemetry.watch(memory)

        assert value_of(telemetry, "llm_memory_retrieval_total", backend="embedded", status="error") == 0
    await telemetry.close()


async def test_a_reload_is_another_generation_and_what_the_one_before_still_does_counts(opened: Opener) -> None:
    telemetry = Telemetry()
    async with opened(redis_cache={"enabled": True}) as before:
        telemetry.watch(before)
        async with opened(redis_cache={"enabled": True}) as after:
            telemetry.watch(after)
            telemetry.watch(after)
            for memory in (before, after):
                await memory.on_request(decision="wide", user_id="alice", messages=MESSAGES)

            assert value_of(telemetry, "llm_memory_configuration_generation") == 2
            assert value_of(telemetry, "llm_memory_cache_entries", kind="answers") == 2

    assert value_of(telemetry, "llm_memory_cache_events_total", event="miss") == 2
    assert value_of(telemetry, "llm_memory_cache_entries", kind="answers") == 0
    await telemetry.close()


@pytest.mark.parametrize("decision", ["wide", "made up by a client", None])
async def test_decisions_are_those_of_the_configuration(opened: Opener, decision: str | None) -> None:
    telemetry = Telemetry()
    async with opened() as memory:
        telemetry.watch(memory)
        outcome = await memory.on_request(decision=decision, user_id="alice", messages=MESSAGES)
        telemetry.request(outcome, interface="chat")

    label = {"wide": "wide", None: "none"}.get(decision, "other")
    assert value_of(telemetry, "llm_memory_request_seconds_count", decision=label) == 1
    await telemetry.close()


async def test_a_process_is_a_worker_while_it_serves(opened: Opener) -> None:
    telemetry = Telemetry()
    before = value_of(telemetry, "llm_memory_workers")
    async with opened() as memory:
        telemetry.watch(memory)
        during = value_of(telemetry, "llm_memory_workers")
    await telemetry.close()

    assert (before, during, value_of(telemetry, "llm_memory_workers")) == (0, 1, 0)
