"""What happens to a request: gate, recall, injection, and never a failed chat."""

from __future__ import annotations

import asyncio
import re
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from router_memory import MemoryPlugin, Reason, Scope, Status
from router_memory.errors import BackendTimeout, BackendUnavailable
from tests.doubles import HashingEmbedder
from tests.unit.conftest import Opener

SEAT = "I always book the aisle seat on flights"
ASK = "Which seat do I book on flights?"


def ask(text: Any = ASK) -> list[dict[str, Any]]:
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


async def remembered(memory: MemoryPlugin, user: str = "ana", content: str = SEAT) -> None:
    await memory.add(Scope(user), content)


async def test_a_matching_memory_is_injected(opened: Opener) -> None:
    """The product's main job."""
    async with opened() as memory:
        await remembered(memory)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (outcome.status, outcome.reason) == (Status.USED, Reason.INJECTED)
    assert [hit.record.content for hit in outcome.memories] == [SEAT]
    assert SEAT in outcome.messages[1]["content"]
    assert outcome.messages[1]["role"] == "system"
    assert outcome.explain.recollection is not None
    assert {"statistics", "embed", "candidates", "rank", "inject", "total"} <= set(outcome.explain.seconds)


async def test_another_user_sees_nothing(opened: Opener) -> None:
    """Ids that differ by case alone are different users (reference defect 1)."""
    async with opened() as memory:
        await remembered(memory, "Ana")
        for other in ("ana", "ANA", "Ana ", "Ana,bob", "*"):
            outcome = await memory.on_request(decision="wide", user_id=other, messages=ask())
            assert (outcome.status, outcome.reason) == (Status.MISSING, Reason.NO_RESULTS)


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        ({"decision": "off"}, Status.DISABLED, Reason.DECISION_CONFIG),
        ({"decision": None, "model": "gpt-x"}, Status.IGNORED, Reason.PASSTHROUGH),
        ({"headers": {"X-Disable-Router-Memory": "TRUE"}}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"headers": {b"x-disable-router-memory": b"true"}}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"headers": {"x-disable-router-memory": ["true"]}}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"headers": {"x-disable-router-memory": True}}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"headers": {"x-disable-router-memory": "false, true"}}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"headers": {"x-disable-router-memory": b"\xff"}}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"headers": {"x-disable-router-memory": "false"}}, Status.USED, Reason.INJECTED),
        ({"user_id": None, "headers": {"x-authz-user-id": b"an\xff"}}, Status.MISSING, Reason.USER_ID_INVALID),
        (
            {"user_id": None, "headers": {"x-authz-user-id": "ana", "X-Authz-User-Id": "bob"}},
            Status.MISSING,
            Reason.USER_ID_INVALID,
        ),
        ({"user_id": None, "headers": {"x-authz-user-id": "ana\u00a0"}}, Status.MISSING, Reason.NO_RESULTS),
        ({"user_id": None, "headers": {"x-authz-user-id": " ana\t"}}, Status.USED, Reason.INJECTED),
        ({"project": ""}, Status.MISSING, Reason.PROJECT_INVALID),
        ({"conversation_id": 5}, Status.MISSING, Reason.CONVERSATION_ID_INVALID),
        ({"now": "2024-01-01"}, Status.USED, Reason.INJECTED),
        ({"headers": {":path": "/v1/secret?x=1"}}, Status.POLICY_BLOCKED, Reason.ROUTE_CONFIG),
        ({"decision": "blocked_route"}, Status.POLICY_BLOCKED, Reason.ROUTE_CONFIG),
        ({"model": "tiny"}, Status.POLICY_BLOCKED, Reason.MODEL_CONFIG),
        ({"user_id": None}, Status.MISSING, Reason.USER_ID_MISSING),
        ({"user_id": "  "}, Status.MISSING, Reason.USER_ID_MISSING),
        ({"user_id": "a\ud800"}, Status.MISSING, Reason.USER_ID_INVALID),
        ({"user_id": 7}, Status.MISSING, Reason.USER_ID_INVALID),
        ({"user_id": "x" * 70_000}, Status.MISSING, Reason.USER_ID_INVALID),
        ({"messages": ask("hello!")}, Status.IGNORED, Reason.QUERY_INELIGIBLE),
        ({"messages": []}, Status.IGNORED, Reason.QUERY_INELIGIBLE),
        ({"messages": ask(None)}, Status.IGNORED, Reason.QUERY_INELIGIBLE),
        ({"messages": [{"content": "no role"}]}, Status.IGNORED, Reason.QUERY_INELIGIBLE),
        ({"messages": "not a list"}, Status.IGNORED, Reason.MESSAGES_MALFORMED),
        ({"messages": [1, 2]}, Status.IGNORED, Reason.MESSAGES_MALFORMED),
        ({"messages": None}, Status.IGNORED, Reason.MESSAGES_MALFORMED),
        ({"decision": ["unhashable"]}, Status.UNAVAILABLE, Reason.RETRIEVAL_ERROR),
        ({"headers": 3}, Status.IGNORED, Reason.HEADERS_MALFORMED),
        ({"headers": ["x"]}, Status.IGNORED, Reason.HEADERS_MALFORMED),
        ({"user_id": None, "headers": [(b"x-authz-user-id", b"ana")]}, Status.USED, Reason.INJECTED),
        ({"headers": [(b"x-disable-router-memory", b"1")]}, Status.POLICY_BLOCKED, Reason.REQUEST_OPT_OUT),
        ({"decision": "exact"}, Status.MISSING, Reason.NO_RESULTS),
    ],
)
async def test_the_gate_says_why(opened: Opener, arguments: dict[str, Any], status: Status, reason: Reason) -> None:
    """Each way around memory has a status and a reason, and gives the messages back as they came."""
    async with opened(disabled_routes=["/v1/secret", "blocked_route"], disabled_models=["tiny"]) as memory:
        await remembered(memory)
        request: dict[str, Any] = {"decision": "wide", "user_id": "ana", "messages": ask()} | arguments
        outcome = await memory.on_request(**request)
    assert (outcome.status, outcome.reason) == (status, reason)
    if status is not Status.USED:
        assert outcome.messages is request["messages"]
        assert outcome.memories == ()


async def test_the_user_comes_from_the_trusted_header(opened: Opener) -> None:
    """Its name is configurable; an explicit user wins."""
    async with opened(identity={"user_header": "x-user"}) as memory:
        await remembered(memory)
        found = await memory.on_request(decision="wide", messages=ask(), headers={"X-User": "ana"})
        other = await memory.on_request(decision="wide", messages=ask(), headers={"X-User": "ana"}, user_id="bob")
    assert found.status is Status.USED
    assert other.status is Status.MISSING


async def test_an_unknown_decision_gets_the_globals_and_is_counted(opened: Opener) -> None:
    """A route the file does not name is no error."""
    async with opened(default_similarity_threshold=0.5) as memory:
        await remembered(memory)
        outcome = await memory.on_request(decision="who_knows", user_id="ana", messages=ask())
        assert memory.counters["decision.unknown"] == 1
    assert outcome.status is Status.USED
    assert not outcome.explain.known


async def test_a_decision_opens_memory_where_the_globals_close_it(opened: Opener) -> None:
    """Overrides work in both directions, and the store is open for that decision alone."""
    async with opened(enabled=False) as memory:
        await remembered(memory)
        inside = await memory.on_request(decision="on", user_id="ana", messages=ask())
        outside = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (inside.status, inside.reason) == (Status.USED, Reason.INJECTED)
    assert (outside.status, outside.reason) == (Status.DISABLED, Reason.GLOBAL_CONFIG)


async def test_original_messages_are_not_changed(opened: Opener) -> None:
    """Multimodal parts survive; the caller's list and its members stay as they were."""
    parts = [{"type": "text", "text": ASK}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]
    messages = ask(parts)
    before = deepcopy(messages)
    async with opened() as memory:
        await remembered(memory)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=messages)
    assert outcome.status is Status.USED
    assert messages == before
    assert outcome.messages[-1] is messages[-1]


async def test_what_the_request_shows_is_not_injected_again(opened: Opener) -> None:
    """White space and case do not hide it."""
    shown = [{"role": "user", "content": f"Earlier:  {SEAT.upper()}.\n"}, *ask()]
    async with opened() as memory:
        await remembered(memory)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=shown)
    assert (outcome.status, outcome.reason) == (Status.MISSING, Reason.FILTERED)
    assert outcome.explain.recollection is not None
    assert [drop.why for drop in outcome.explain.recollection.dropped] == ["already in the request"]


async def test_the_deadline_lets_the_request_go_on(opened: Opener, embedder: HashingEmbedder) -> None:
    """A slow model costs at most the deadline."""
    async with opened(deadline_ms=20) as memory:
        await remembered(memory)
        embedder.gate.clear()
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
        embedder.gate.set()
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.TIMEOUT)


async def test_a_request_that_could_only_wait_is_shed(opened: Opener, embedder: HashingEmbedder) -> None:
    """When the wait alone passes the deadline nothing is queued."""
    async with opened() as memory:
        await remembered(memory)
        embedder.backlog, asked = 60.0, len(embedder.queries)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.OVERLOADED)
    assert len(embedder.queries) == asked


async def test_a_broken_model_fails_open(opened: Opener, embedder: HashingEmbedder) -> None:
    """The chat goes on and the outcome says what happened."""
    async with opened() as memory:
        await remembered(memory)
        embedder.failing = True
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
        embedder.failing = False
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.RETRIEVAL_ERROR)
    assert "EmbeddingError" in outcome.explain.error


@pytest.mark.parametrize("error", [BackendUnavailable, BackendTimeout])
async def test_a_store_that_is_gone_fails_open(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, error: type[BackendUnavailable]
) -> None:
    """Whatever the store raises is a reason, not an exception."""
    async with opened() as memory:

        async def gone(*_: object) -> None:
            raise error("gone", backend="embedded", operation="statistics")

        monkeypatch.setattr(memory._parts.store, "statistics", gone)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.STORE_UNAVAILABLE)


async def test_a_defect_fails_open(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an exception nobody thought of."""
    async with opened() as memory:

        async def defect(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(memory._parts.store, "statistics", defect)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.RETRIEVAL_ERROR)
    assert outcome.explain.error == "ZeroDivisionError"


async def test_a_closed_plugin_lets_requests_pass(opened: Opener) -> None:
    """Requests that arrive during shutdown are served without memory."""
    async with opened() as memory:
        pass
    outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.CLOSED)


async def test_a_plugin_that_was_never_opened_lets_requests_pass(opened: Opener) -> None:
    """And rejects what should be stored, both without an exception."""
    memory = MemoryPlugin.open({"global": {"stores": {"memory": {"enabled": True}}}})
    outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    receipt = await memory.on_response(outcome, "x")
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.CLOSED)
    assert [result.status for result in receipt.results] == ["rejected"]


async def test_a_burst_is_shed_where_it_would_wait(
    opened: Opener, embedder: HashingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backlog is looked at again directly before the embedding: a burst all saw an idle model at the door."""
    async with opened() as memory:
        await remembered(memory)
        store, statistics = memory._parts.store, memory._parts.store.statistics

        async def busy_meanwhile(*arguments: Any) -> Any:
            embedder.backlog = 60.0
            return await statistics(*arguments)

        monkeypatch.setattr(store, "statistics", busy_meanwhile)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert (outcome.status, outcome.reason) == (Status.UNAVAILABLE, Reason.OVERLOADED)


async def test_logs_hold_neither_users_nor_content(
    opened: Opener, embedder: HashingEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even when something fails (reference defect 15)."""
    caplog.set_level("DEBUG")
    async with opened() as memory:
        embedder.failing = True
        outcome = await memory.on_request(decision="wide", user_id="very-secret-user", messages=ask("my secret seat?"))
        await (await memory.on_response(outcome, "a secret reply")).wait()
        embedder.failing = False
    assert "secret" not in caplog.text


async def test_cancelling_a_request_is_not_swallowed(opened: Opener, embedder: HashingEmbedder) -> None:
    """A client that hangs up ends the work."""
    async with opened() as memory:
        await remembered(memory)
        embedder.gate.clear()
        request = asyncio.create_task(memory.on_request(decision="wide", user_id="ana", messages=ask()))
        await embedder.asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        embedder.gate.set()


async def test_injected_memories_are_counted_as_accessed(opened: Opener) -> None:
    """In the background, without a new epoch."""
    async with opened() as memory:
        record = await memory.add(Scope("ana"), SEAT)
        await memory.on_request(decision="wide", user_id="ana", messages=ask())
        await memory.drain()
        after = await memory.get(Scope("ana"), record.id)
    assert after is not None
    assert after.access_count == 1


@pytest.mark.parametrize("mode", ["rerank", "weighted", "rrf"])
async def test_every_hybrid_mode_finds_a_lexical_match(opened: Opener, mode: str) -> None:
    """RRF works with a normal threshold (reference defect 4): scores order, similarities cut."""
    async with opened(hybrid_mode=mode) as memory:
        await remembered(memory)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert outcome.status is Status.USED


async def test_a_lexical_match_outside_the_dense_list_is_found(opened: Opener) -> None:
    """Candidates are a union (reference defect 5)."""
    async with opened() as memory:
        for number in range(130):
            await remembered(memory, content=f"zebra crossing number {number} in the city of zebra stripes")
        await remembered(memory, content="My locker code is quokka and a great many other unrelated things besides it")
        hits = await memory.search(Scope("ana"), "zebra stripes quokka", limit=130, threshold=0.0)
    assert any("quokka" in hit.record.content for hit in hits[:3])


async def test_recency_does_not_change_the_order(opened: Opener) -> None:
    """It only decides what a short budget drops; age counts from the request's own time."""
    now = datetime(2026, 6, 1, tzinfo=UTC)
    old, new = f"{SEAT} when I fly alone", f"{SEAT} when I fly alone lately"
    async with opened(reflection={"max_inject_tokens": 125}) as memory:
        await memory.add(Scope("ana"), old, now=now - timedelta(days=300))
        await memory.add(Scope("ana"), new, now=now)
        await memory.add(Scope("ana"), f"{SEAT} when I fly with family", now=now - timedelta(days=600))
        outcome = await memory.on_request(
            decision="wide", user_id="ana", messages=ask(f"{ASK} when I fly alone"), now=now
        )
    contents = [hit.record.content for hit in outcome.memories]
    assert contents[0] == old
    assert outcome.explain.injected_tokens <= 125


async def test_near_duplicates_are_injected_once(opened: Opener) -> None:
    """A repeated sentence takes one place."""
    async with opened() as memory:
        await remembered(memory)
        await remembered(memory, content=f"{SEAT}!")
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert len(outcome.memories) == 1


async def test_block_patterns_keep_memories_away(opened: Opener) -> None:
    """An operator's own filter."""
    async with opened(reflection={"block_patterns": ["(?i)aisle"]}) as memory:
        await remembered(memory)
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask())
    assert outcome.reason is Reason.FILTERED


async def test_a_huge_query_is_clipped_and_says_so(opened: Opener, embedder: HashingEmbedder) -> None:
    """One megabyte of text is searched for by its two ends."""
    async with opened() as memory:
        await remembered(memory)
        text = f"{ASK} " + "lorem ipsum " * 90_000
        outcome = await memory.on_request(decision="wide", user_id="ana", messages=ask(text))
    assert outcome.explain.recollection is not None
    assert outcome.explain.recollection.clipped
    assert len(outcome.explain.recollection.query_text) <= 801
    assert len(embedder.queries[-1]) <= 801


async def test_projects_narrow_and_users_span(opened: Opener) -> None:
    """A scope without a project reads all of the user's projects (reference defect 6)."""
    async with opened() as memory:
        await memory.add(Scope("ana", "work"), SEAT)
        inside = await memory.on_request(decision="wide", user_id="ana", project="work", messages=ask())
        whole = await memory.on_request(decision="wide", user_id="ana", messages=ask())
        beside = await memory.on_request(decision="wide", user_id="ana", project="home", messages=ask())
    assert [outcome.status for outcome in (inside, whole, beside)] == [Status.USED, Status.USED, Status.MISSING]


async def test_counters_never_hold_a_user(opened: Opener) -> None:
    """Labels are statuses and reasons (reference defect 15)."""
    async with opened() as memory:
        await memory.on_request(decision="wide", user_id="very-secret-user", messages=ask())
        assert all(re.fullmatch(r"[a-z_.]+", name) for name in memory.counters)
