"""What happens to a reply: receipts, idempotence, opt-outs, a bounded queue."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router_memory import MemoryPlugin, Scope, WriteStatus
from router_memory.errors import BackendTimeout
from router_memory.plugin import writes
from tests.doubles import HashingEmbedder
from tests.unit.conftest import Opener

ANA = Scope("ana")


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def turn(
    memory: MemoryPlugin, messages: list[dict[str, Any]], reply: Any, **request: Any
) -> tuple[WriteStatus, ...]:
    outcome = await memory.on_request(**({"decision": "wide", "user_id": "ana", "messages": messages} | request))
    receipt = await memory.on_response(outcome, reply)
    await receipt.wait()
    return receipt.statuses


async def contents(memory: MemoryPlugin) -> set[str]:
    return {record.content for record in (await memory.list(ANA, limit=100)).records}


async def test_both_sides_of_a_turn_are_stored(opened: Opener) -> None:
    """One memory for each message, with role, speaker, conversation, position and time."""
    async with opened() as memory:
        statuses = await turn(
            memory,
            [{"role": "system", "content": "s"}, user("I moved to Porto")],
            "Noted: Porto.",
            conversation_id="c1",
        )
        records = (await memory.list(ANA)).records
    assert statuses == (WriteStatus.STORED, WriteStatus.STORED)
    assert {(r.role, r.speaker, r.conversation_id, r.position) for r in records} == {
        ("user", "user", "c1", 1),
        ("assistant", "assistant", "c1", 2),
    }


async def test_a_replay_stores_nothing_twice(opened: Opener, embedder: HashingEmbedder) -> None:
    """The same turn again is merged, and nothing is embedded for it."""
    async with opened() as memory:
        await turn(memory, [user("I moved to Porto")], "Noted: Porto.")
        embedded = len(embedder.passages)
        again = await turn(memory, [user("I moved to Porto")], "Noted: Porto.")
        assert await memory.count(ANA) == 2
    assert again == (WriteStatus.MERGED, WriteStatus.MERGED)
    assert len(embedder.passages) == embedded


async def test_a_growing_conversation_stores_each_message_once(opened: Opener) -> None:
    """Without a conversation id it is known by its first user message."""
    history = [user("I moved to Porto")]
    async with opened() as memory:
        await turn(memory, list(history), "Noted: Porto.")
        history += [{"role": "assistant", "content": "Noted: Porto."}, user("My dog is called Bolt")]
        await turn(memory, list(history), "Hello Bolt, noted.")
        records = (await memory.list(ANA)).records
    assert len(records) == 4
    assert len({record.conversation_id for record in records}) == 1


async def test_a_trimmed_history_stores_nothing_twice(opened: Opener) -> None:
    """A client with a sliding window and a conversation id repeats no memory."""
    async with opened(write={"history": True}) as memory:
        whole = [user("I moved to Porto"), {"role": "assistant", "content": "Noted: Porto."}, user("Bolt is my dog")]
        await turn(memory, whole, "Hello Bolt, noted.", conversation_id="c")
        await turn(memory, whole[1:], "Hello Bolt, noted.", conversation_id="c")
        assert await memory.count(ANA) == 4


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"decision": "read_only"}, "decision_config"),
        ({"decision": "off"}, "decision_config"),
        ({"headers": {"x-disable-router-memory": "true"}}, "request_opt_out"),
        ({"user_id": None}, "user_id_missing"),
        ({"decision": None, "model": "gpt-x"}, "passthrough"),
        ({"messages": "garbage"}, "messages_malformed"),
    ],
)
async def test_opt_outs_stop_writes(opened: Opener, request_: dict[str, Any], reason: str) -> None:
    """A decision's `auto_store: false` and every opt-out (reference defect 2); the receipt says why."""
    async with opened() as memory:
        outcome = await memory.on_request(
            **({"decision": "wide", "user_id": "ana", "messages": [user("I moved to Porto")]} | request_)
        )
        receipt = await memory.on_response(outcome, "Noted: Porto.")
        await memory.drain()
        assert await memory.count(ANA) == 0
    assert [(result.status, result.reason) for result in receipt.results] == [(WriteStatus.SKIPPED, reason)]


async def test_an_opt_out_is_not_undone_by_the_next_turn(opened: Opener) -> None:
    """The next request shows the opted-out turn in its history; it stays unstored."""
    secret = [user("My PIN is 4711")]
    async with opened() as memory:
        await turn(memory, secret, "I will forget it.", headers={"x-disable-router-memory": "true"})
        later = [*secret, {"role": "assistant", "content": "I will forget it."}, user("I moved to Porto")]
        await turn(memory, later, "Noted: Porto.")
        assert await contents(memory) == {"I moved to Porto", "Noted: Porto."}


async def test_a_forgotten_memory_is_not_brought_back_by_the_conversation(opened: Opener) -> None:
    """Forgetting holds while the conversation goes on."""
    first = [user("My PIN is 4711")]
    async with opened() as memory:
        await turn(memory, first, "I noted your PIN.")
        await memory.forget_scope(ANA)
        await turn(
            memory, [*first, {"role": "assistant", "content": "I noted your PIN."}, user("We moved")], "Where to?"
        )
        assert "My PIN is 4711" not in await contents(memory)


async def test_low_entropy_and_reasoning_are_left_out(opened: Opener) -> None:
    """Small talk is skipped with a reason, think tags are stripped."""
    async with opened() as memory:
        statuses = await turn(memory, [user("thanks!")], "<think>secret plan</think>The seat is 14C.")
        assert await contents(memory) == {"The seat is 14C."}
    assert statuses == (WriteStatus.SKIPPED, WriteStatus.STORED)


async def test_surrogates_and_nul_are_stored_as_replacement_characters(opened: Opener) -> None:
    """Bad characters cost themselves, not the message."""
    async with opened() as memory:
        await turn(memory, [user("I like \ud83d tea\x00 very much")], None)
        assert await contents(memory) == {"I like � tea� very much"}


async def test_a_long_message_becomes_several_memories(opened: Opener) -> None:
    """Nothing of it is lost."""
    text = " ".join(f"word{number}" for number in range(6000))
    async with opened() as memory:
        statuses = await turn(memory, [user(text)], None)
        stored = sorted((await memory.list(ANA, limit=100)).records, key=lambda record: record.part)
    assert set(statuses) == {WriteStatus.STORED}
    assert " ".join(record.content for record in stored) == text


async def test_a_message_beyond_all_measure_is_skipped_with_a_reason(opened: Opener) -> None:
    """One megabyte is more than sixteen memories."""
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=[user("lorem " * 180_000)])
        results = await (await memory.on_response(outcome, None)).wait()
    assert [(result.status, result.reason) for result in results] == [(WriteStatus.SKIPPED, "content_too_large")]


async def test_white_space_makes_no_empty_memory(opened: Opener) -> None:
    """And a message of many parts stays within `max_parts`, or is skipped."""
    async with opened(write={"max_parts": 3, "max_content_bytes": 1024}) as memory:
        await turn(memory, [user("I moved" + " " * 2000 + "to Porto")], None)
        too_many = await turn(memory, [user(("word " * 150 + ". ") * 4)], None)
        stored = await contents(memory)
    assert stored == {"I moved", "to Porto"}
    assert too_many == (WriteStatus.SKIPPED,)


async def test_the_queue_is_bounded_in_text_too(opened: Opener, embedder: HashingEmbedder) -> None:
    """A few huge turns do not fill the memory of the process."""
    async with opened() as memory:
        queue = memory._parts.plugin._writes
        embedder.gate.clear()
        receipts = [queue.submit(ANA, "c", _turns("x" * 4_000_000)) for _ in range(8)]
        rejected = [receipt for receipt in receipts if receipt.statuses == (WriteStatus.REJECTED,)]
        embedder.gate.set()
    assert len(rejected) >= 3


async def test_forgetting_includes_turns_accepted_before(opened: Opener) -> None:
    """Nothing that waited in the queue appears after "delete everything" has returned."""
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=[user("My PIN is 4711")])
        await memory.on_response(outcome, "I noted your PIN.")
        await memory.forget_scope(ANA)
        await memory.drain()
        assert await memory.count(ANA) == 0


async def test_drain_does_not_wait_for_what_comes_later(opened: Opener, embedder: HashingEmbedder) -> None:
    """It returns under steady load."""
    async with opened() as memory:
        queue = memory._parts.plugin._writes
        embedder.gate.clear()
        first = queue.submit(ANA, "c", _turns("the first fact"))
        drained = asyncio.create_task(memory.drain())
        await asyncio.sleep(0)
        embedder.gate.set()
        await first.wait()
        embedder.gate.clear()
        later = queue.submit(ANA, "c", _turns("a later fact"))
        await drained
        assert not later.done
        embedder.gate.set()


async def test_closing_twice_at_once_writes_what_was_accepted(opened: Opener) -> None:
    """A signal handler and `async with` may both close."""
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=[user("I moved to Porto")])
        receipt = await memory.on_response(outcome, "Noted: Porto.")
        await asyncio.gather(memory.close(), memory.close())
    assert set(receipt.statuses) == {WriteStatus.STORED}


async def test_a_cancelled_close_goes_on(opened: Opener, embedder: HashingEmbedder) -> None:
    """No receipt is left open, and a second call waits for the end."""
    async with opened() as memory:
        embedder.gate.clear()
        receipt = memory._parts.plugin._writes.submit(ANA, "c", _turns("the first fact"))
        closing = asyncio.create_task(memory.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        embedder.gate.set()
        await memory.close()
    assert receipt.statuses == (WriteStatus.STORED,)


async def test_a_plugin_can_be_opened_again(opened: Opener) -> None:
    """After an orderly end, and after an opening that failed (reference defect 10)."""
    async with opened() as memory:
        await memory.add(ANA, "prefers aisle seats")
    async with memory:
        assert await memory.count(ANA) == 1


async def test_an_outcome_that_is_none_stores_nothing(opened: Opener) -> None:
    """And raises nothing."""
    async with opened() as memory:
        receipt = await memory.on_response(None, "x")  # type: ignore[arg-type]  # a caller's mistake
    assert receipt.results[0].reason == "no_outcome"


async def test_every_injection_counts_as_an_access(opened: Opener) -> None:
    """Also several within one flush, and those of a flush under way when `drain` is called."""
    async with opened() as memory:
        record = await memory.add(ANA, "I always book the aisle seat on flights")
        for _ in range(5):
            await memory.on_request(decision="wide", user_id="ana", messages=[user("Which seat do I book on flights?")])
        await asyncio.gather(memory.drain(), memory.drain())
        after = await memory.get(ANA, record.id)
    assert after is not None
    assert after.access_count == 5


async def test_a_full_queue_rejects_at_once(opened: Opener, embedder: HashingEmbedder) -> None:
    """The queue is bounded; the receipt says so."""
    async with opened(write={"queue_size": 1}) as memory:
        embedder.gate.clear()
        receipts = []
        for number in range(4):
            outcome = await memory.on_request(decision="off", user_id="ana", messages=[])
            receipts.append(memory._parts.plugin._writes.submit(ANA, "c", _turns(f"fact number {number}")))
            del outcome
        rejected = [receipt for receipt in receipts if receipt.statuses == (WriteStatus.REJECTED,)]
        embedder.gate.set()
        await memory.drain()
    assert len(rejected) >= 2
    assert all(result.reason == "queue_full" for receipt in rejected for result in receipt.results)


async def test_a_failing_model_fails_one_turn_not_the_queue(opened: Opener, embedder: HashingEmbedder) -> None:
    """The next turn is stored again."""
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=[user("I moved to Porto")])
        embedder.failing = True
        failed = await (await memory.on_response(outcome, None)).wait()
        embedder.failing = False
        stored = await (await memory.on_response(outcome, None)).wait()
    assert [result.status for result in failed] == [WriteStatus.FAILED]
    assert [result.status for result in stored] == [WriteStatus.STORED]


async def test_a_store_that_does_not_answer_makes_a_write_unknown(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again, then reported for what it is."""
    tries = 0

    async def silent(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise BackendTimeout("no answer", backend="embedded", operation="add")

    monkeypatch.setattr(writes, "RETRY_SECONDS", (0.0, 0.0))
    async with opened() as memory:
        monkeypatch.setattr(memory._parts.store, "add", silent)
        statuses = await turn(memory, [user("I moved to Porto")], None)
    assert statuses == (WriteStatus.UNKNOWN,)
    assert tries == 3


async def test_closing_writes_what_is_queued(opened: Opener) -> None:
    """An accepted turn survives an orderly end."""
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=[user("I moved to Porto")])
        receipt = await memory.on_response(outcome, "Noted: Porto.")
    assert receipt.statuses == (WriteStatus.STORED, WriteStatus.STORED)


async def test_closing_settles_what_cannot_be_written(opened: Opener, embedder: HashingEmbedder) -> None:
    """When the time is over no receipt is left open: the one being written is unknown, the rest rejected."""
    async with opened(write={"drain_seconds": 0.05}) as memory:
        embedder.gate.clear()
        queue = memory._parts.plugin._writes
        receipts = [queue.submit(ANA, "c", _turns(f"fact number {number}")) for number in range(2)]
    assert [receipt.statuses for receipt in receipts] == [(WriteStatus.UNKNOWN,), (WriteStatus.REJECTED,)]


async def test_a_reply_after_closing_is_rejected(opened: Opener) -> None:
    """Nothing is silently lost."""
    async with opened() as memory:
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=[user("I moved to Porto")])
    receipt = await memory.on_response(outcome, "Noted: Porto.")
    assert set(receipt.statuses) == {WriteStatus.REJECTED}


@pytest.mark.parametrize("reply", [7, [], {"unknown": 1}, {"choices": [{"delta": {}}]}, b"bytes"])
async def test_a_reply_that_cannot_be_read_is_said(opened: Opener, reply: Any) -> None:
    """The request's own message is stored all the same, and the receipt names the reply."""
    async with opened() as memory:
        statuses = await turn(memory, [user("I moved to Porto")], reply)
        assert await contents(memory) == {"I moved to Porto"}
    assert statuses == (WriteStatus.STORED, WriteStatus.SKIPPED)


@pytest.mark.parametrize("reply", [None, {"content": None}, {"role": "tool", "content": "x"}])
async def test_a_reply_without_text_costs_nothing(opened: Opener, reply: Any) -> None:
    """There is nothing of it to store."""
    async with opened() as memory:
        assert await turn(memory, [user("I moved to Porto")], reply) == (WriteStatus.STORED,)


async def test_a_chat_completion_is_a_reply(opened: Opener) -> None:
    """The first thing a gateway has in hand."""
    completion = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Noted: Porto."}}]}
    async with opened() as memory:
        await turn(memory, [user("I moved to Porto")], completion)
        assert await contents(memory) == {"I moved to Porto", "Noted: Porto."}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=6))
async def test_writing_is_idempotent(opened: Opener, texts: list[str]) -> None:
    """Whatever was said, saying it again in the same conversation adds nothing."""
    messages = [user(text) for text in texts]
    async with opened(write={"history": True}) as memory:
        await turn(memory, messages, "A reply with words.", conversation_id="c")
        before = await memory.count(ANA)
        await turn(memory, messages, "A reply with words.", conversation_id="c")
        assert await memory.count(ANA) == before


def _turns(text: str) -> tuple[Any, ...]:
    from datetime import UTC, datetime

    from router_memory.types import Turn

    return (Turn(role="user", content=text, created_at=datetime.now(UTC)),)
