"""A chat request and its reply over HTTP come to the same as in the library."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from router_memory import MemoryRecord, Scope
from router_memory.interfaces.http.plugin import tickets
from router_memory.plugin.describe import describe
from router_memory.types import Outcome
from tests.interfaces.http.conftest import Served, Serving, as_admin, as_user
from tests.interfaces.http.memory.test_collection import added, code_of

ANA, BEN = as_user("ana"), as_user("ben")
QUESTION = [{"role": "user", "content": "Book me one of the aisle seats, please."}]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "I am looking for a hotel in Bonn.", "name": "Ana Pavlova"},
    {"role": "assistant", "content": "<think>hm</think>The Kranz is a good one."},
    {"role": "user", "content": [{"type": "text", "text": "And where is a good one in Cologne?"}]},
]


async def asked(served: Served, who: dict[str, str] = ANA, /, **body: Any) -> dict[str, Any]:
    answer = await served.client.post("/v1/plugin/request", headers=who, json={"decision": "wide", **body})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def replied(served: Served, ticket: str, reply: Any = None, **more: Any) -> dict[str, Any]:
    body = {"ticket": ticket, "reply": reply, "wait": True, **more}
    answer = await served.client.post("/v1/plugin/response", headers=ANA, json=body)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def plain(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = describe(outcome.explain)
    told.pop("seconds")
    if told["recollection"]:
        told["recollection"].pop("seconds")
    return told


REQUESTS: list[dict[str, Any]] = [
    {"messages": QUESTION},
    {"messages": CONVERSATION},
    {"messages": QUESTION, "decision": "exact"},
    {"messages": QUESTION, "decision": "off"},
    {"messages": QUESTION, "decision": None, "model": "gpt-4o"},
    {"messages": QUESTION, "decision": "unheard of"},
    {"messages": QUESTION, "headers": {"X-Disable-Router-Memory": "true"}},
    {"messages": QUESTION, "headers": [["x-disable-router-memory", "1"]]},
    {"messages": QUESTION, "headers": ["nonsense"]},
    {"messages": QUESTION, "project": "work"},
    {"messages": QUESTION, "project": ""},
    {"messages": QUESTION, "conversation_id": "c-1"},
    {"messages": QUESTION, "conversation_id": "c" * 70_000},
    {"messages": [{"role": "user", "content": "hello"}]},
    {"messages": []},
    {"messages": None},
    {"messages": "text"},
    {"messages": [1, 2]},
]


@pytest.mark.parametrize("request_body", REQUESTS, ids=lambda body: str(body)[:60])
async def test_the_outcome_is_that_of_the_library(served: Served, request_body: dict[str, Any]) -> None:
    await added(served, "prefers aisle seats")
    await added(served, "books aisle seats at work", project="work")
    arguments = {"decision": "wide", **request_body}
    expected = await served.memory.on_request(user_id="ana", now=NOW, **arguments)
    answer = await asked(served, now=NOW.isoformat(), explain=True, **request_body)
    assert answer["messages"] == expected.messages
    assert (answer["status"], answer["reason"]) == (expected.status, expected.reason)
    assert [memory["id"] for memory in answer["memories"]] == [hit.record.id for hit in expected.memories]
    assert answer["conversation_id"] == expected.conversation_id
    for told in (answer["explain"], answer["explain"]["recollection"] or {}):
        told.pop("seconds", None)
    assert answer["explain"] == json.loads(json.dumps(plain(expected)))


async def test_what_was_injected_can_be_had_alone(served: Served) -> None:
    await added(served, "prefers aisle seats")
    whole = await asked(served, messages=[{"role": "system", "content": "Be brief."}, *QUESTION])
    alone = await asked(served, messages=[{"role": "system", "content": "Be brief."}, *QUESTION], return_messages=False)
    assert whole["status"] == "used"
    assert whole["injected"] == {"index": 1, "message": whole["messages"][1]}
    assert "prefers aisle seats" in whole["injected"]["message"]["content"]
    assert (alone["messages"], alone["injected"]["index"]) == (None, 1)
    assert whole["explain"] is None


REPLIES: list[Any] = [
    "The Ludwig is a good one.",
    {"role": "assistant", "content": "<think>hm</think>The Ludwig is a good one."},
    {"choices": [{"message": {"role": "assistant", "content": "The Kranz is a good one."}}]},
    {"choices": []},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    None,
    7,
]


@pytest.mark.parametrize("history", [False, True])
@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: str(reply)[:40])
async def test_what_is_stored_is_what_the_library_stores(
    serving: Serving, reply: Any, long: bool, history: bool
) -> None:
    """Whether the ticket carries the turns or the messages come again: ids, times, positions and speakers are equal."""
    messages = [*CONVERSATION, {"role": "user", "content": "y" * 70_000}] if long else CONVERSATION
    async with serving(write={"history": history}) as served:
        outcome = await served.memory.on_request(decision="wide", user_id="ana", messages=messages, now=NOW)
        expected = await (await served.memory.on_response(outcome, reply)).wait()
        library = await everything(served)
        await served.memory.forget_scope(Scope("ana"))

        answer = await asked(served, messages=messages, now=NOW.isoformat())
        assert answer["ticket_needs_messages"] is long
        again = {"messages": messages} if long else {}
        result = await replied(served, answer["ticket"], reply, **again)
        assert [(each["status"], each["reason"], each["id"]) for each in result["results"]] == [
            (each.status, each.reason, each.id) for each in expected
        ]
        assert await everything(served) == library


async def everything(served: Served) -> list[MemoryRecord]:
    return [replace(record, accessed_at=None, access_count=0) async for record in served.memory.export(Scope("ana"))]


async def test_a_ticket_can_be_brought_again(served: Served) -> None:
    ticket = (await asked(served, messages=CONVERSATION))["ticket"]
    first = await replied(served, ticket, "The Ludwig is a good one.")
    again = await replied(served, ticket, "The Ludwig is a good one.")
    assert [each["status"] for each in first["results"]] == ["stored", "stored"]
    assert [each["status"] for each in again["results"]] == ["merged", "merged"]


async def test_without_waiting_the_turn_is_queued(served: Served) -> None:
    ticket = (await asked(served, messages=CONVERSATION))["ticket"]
    served.embedder.gate.clear()
    answer = await served.client.post("/v1/plugin/response", headers=ANA, json={"ticket": ticket})
    assert (answer.status_code, answer.json()) == (202, {"queued": True, "results": []})
    served.embedder.gate.set()
    await served.memory.drain()
    assert await served.memory.count(Scope("ana")) == 1


async def test_what_the_request_refused_is_not_stored(served: Served) -> None:
    for body, reason in (
        ({"headers": {"x-disable-router-memory": "true"}}, "request_opt_out"),
        ({"decision": "read_only"}, "decision_config"),
        ({"decision": None, "model": "gpt-4o"}, "passthrough"),
    ):
        ticket = (await asked(served, messages=CONVERSATION, **body))["ticket"]
        result = await replied(served, ticket, "The Ludwig is a good one.")
        assert result == {"queued": False, "results": [{"status": "skipped", "reason": reason, "id": ""}]}
    assert await served.memory.count(Scope("ana")) == 0


async def test_the_turn_goes_to_the_project_of_the_request(served: Served) -> None:
    work = as_user("ana", x_project_id="work")
    answer = await asked(served, work, messages=CONVERSATION)
    await replied(served, answer["ticket"], "The Ludwig is a good one.")
    assert await served.memory.count(Scope("ana", "work")) == 2
    clash = await served.client.post(
        "/v1/plugin/request", headers=work, json={"messages": CONVERSATION, "project": "home"}
    )
    assert code_of(clash) == (400, "INVALID_PROJECT")


async def test_a_ticket_of_another_user_is_no_ticket(served: Served) -> None:
    ticket = (await asked(served, messages=CONVERSATION))["ticket"]
    foreign = await served.client.post("/v1/plugin/response", headers=BEN, json={"ticket": ticket, "reply": "x"})
    made_up = await served.client.post("/v1/plugin/response", headers=BEN, json={"ticket": "rm1.x", "reply": "x"})
    assert code_of(foreign) == code_of(made_up) == (400, "INVALID_TICKET")
    assert foreign.json()["error"]["message"] == made_up.json()["error"]["message"]
    for user in ("ana", "ben"):
        assert await served.memory.count(Scope(user)) == 0


async def test_a_ticket_that_needs_messages_says_so(served: Served) -> None:
    ticket = (await asked(served, messages=[{"role": "user", "content": "x" * 70_000}]))["ticket"]
    for messages in (None, "text", [1]):
        body = {"ticket": ticket, "reply": "x", "messages": messages}
        answer = await served.client.post("/v1/plugin/response", headers=ANA, json=body)
        assert code_of(answer) == (400, "MESSAGES_NEEDED")


async def test_headers_of_the_chat_do_not_say_who_is_asking(served: Served) -> None:
    await added(served, "prefers aisle seats")
    answer = await asked(served, BEN, messages=QUESTION, headers={"x-authz-user-id": "ana"})
    assert (answer["status"], answer["memories"]) == ("missing", [])
    anonymous = await served.client.post(
        "/v1/plugin/request", json={"messages": QUESTION, "headers": {"x-authz-user-id": "ana"}}
    )
    assert code_of(anonymous) == (401, "MISSING_USER_ID")
    assert code_of(await served.client.post("/v1/plugin/response", json={"ticket": "x"})) == (401, "MISSING_USER_ID")


async def test_messages_come_back_as_they_came(served: Served) -> None:
    """Unknown fields, integers of any size and halves of surrogate pairs, which a client cut."""
    await added(served, "prefers aisle seats")
    raw = (
        '{"decision": "wide", "messages": [{"role": "user", "content": "aisle seats \\ud83d, please", '
        '"seed": 123456789012345678901234567890, "x": {"y": [null, true, 1.5, -1]}}]}'
    )
    answer = await served.client.post(
        "/v1/plugin/request", headers={**ANA, "content-type": "application/json"}, content=raw
    )
    assert answer.json()["status"] == "used"
    assert answer.json()["messages"][1:] == json.loads(raw)["messages"]


async def test_where_the_store_is_and_what_ails_it_operators_alone_are_told(served: Served) -> None:
    await added(served, "prefers aisle seats")
    served.embedder.failing = True
    for who, told in ((ANA, False), (as_admin("ana"), True)):
        answer = await asked(served, who, messages=QUESTION, explain=True)
        kind, colon, message = answer["explain"]["error"].partition(": ")
        assert kind == "EmbeddingError"
        assert bool(colon and message) == told


async def test_memory_that_fails_gives_the_messages_back(served: Served) -> None:
    await added(served, "prefers aisle seats")
    served.embedder.failing = True
    answer = await asked(served, messages=QUESTION)
    assert (answer["status"], answer["reason"], answer["messages"]) == ("unavailable", "retrieval_error", QUESTION)
    await served.memory.close()
    answer = await asked(served, messages=QUESTION)
    assert (answer["status"], answer["reason"], answer["messages"]) == ("unavailable", "closed", QUESTION)


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("request", {}, "messages"),
        ("request", {"messages": [], "decision": 7}, "decision"),
        ("request", {"messages": [], "headers": "x: y"}, "headers"),
        ("request", {"messages": [], "now": "yesterday"}, "now"),
        ("request", {"messages": [], "explain": 1}, "explain"),
        ("request", {"messages": [], "user_id": "ben"}, "user_id"),
        ("response", {}, "ticket"),
        ("response", {"ticket": 7}, "ticket"),
        ("response", {"ticket": "x", "wait": "long"}, "wait"),
    ],
)
async def test_wrong_bodies_are_named(served: Served, path: str, body: dict[str, Any], word: str) -> None:
    answer = await served.client.post(f"/v1/plugin/{path}", headers=ANA, json=body)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


async def test_times_at_the_ends_of_the_calendar(served: Served) -> None:
    for now in ("0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"):
        ticket = (await asked(served, messages=CONVERSATION, now=now))["ticket"]
        assert (await replied(served, ticket, "The Ludwig is a good one."))["results"]


async def test_a_worker_with_the_same_configuration_takes_the_ticket(serving: Serving) -> None:
    """What it needs is in the ticket or follows from the configuration; nothing is kept in the process."""
    async with serving() as one:
        ticket = (await asked(one, messages=CONVERSATION, now=(NOW + timedelta(days=1)).isoformat()))["ticket"]
    async with serving() as other:
        await replied(other, ticket, "The Ludwig is a good one.")
        assert await other.memory.count(Scope("ana")) == 2
    async with serving(service={"auth": {"admin_key": "another-admin-key"}}) as stranger:
        answer = await stranger.client.post("/v1/plugin/response", headers=ANA, json={"ticket": ticket})
        assert code_of(answer) == (400, "INVALID_TICKET")


async def test_without_a_secret_a_ticket_that_is_made_up_writes_to_its_maker_alone(serving: Serving) -> None:
    """Anybody can sign there; whose memory it is the credential says, as it does for `POST /v1/memory`."""
    async with serving(service={"auth": {"admin_key": ""}}) as served:
        outcome = await served.memory.on_request(decision="wide", user_id="ben", messages=CONVERSATION)
        key, now = tickets.key_of(""), time.time()
        for named, status in (("ana", 400), ("ben", 200)):
            made_up, _ = tickets.write(key, Scope(named), outcome, now=now)
            body = {"ticket": made_up, "reply": "The Ludwig is a good one.", "wait": True}
            answer = await served.client.post("/v1/plugin/response", headers=BEN, json=body)
            assert answer.status_code == status
        assert (await served.memory.count(Scope("ana")), await served.memory.count(Scope("ben"))) == (0, 2)


async def test_a_decision_nobody_knows_gets_the_globals_and_explain_says_so(served: Served) -> None:
    unknown = await asked(served, messages=QUESTION, decision="wdie", explain=True)
    none = await served.memory.on_request(decision="wdie", messages=QUESTION, user_id="ana")
    assert unknown["explain"]["known"] is False
    assert unknown["explain"]["policy"] == describe(none.explain)["policy"]
