"""What an agent can do with memories, asked by the SDK's client over HTTP."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from router_memory import Scope
from router_memory.interfaces.mcp.arguments import MAX_MEMORIES, Kind
from router_memory.types import MemoryType
from tests.interfaces.mcp.clients import PROTOCOLS, Agent, protocol_error
from tests.interfaces.mcp.conftest import Running

ADA = Scope("ada")
AISLE = "prefers an aisle seat on long flights"
READING = {"search_memories", "list_memories", "get_memory", "prompt_with_memories"}
LOSING = {"update_memory", "forget_memories"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_tools_say_what_they_change(running: Running, protocol: str) -> None:
    async with running.agent(protocol=protocol) as agent:
        tools = await agent.tools()
    assert set(tools) == READING | LOSING | {"add_memory"}
    hints = {name: tool["annotations"] for name, tool in tools.items()}
    assert {name for name, hint in hints.items() if hint["readOnlyHint"]} == READING
    assert {name for name, hint in hints.items() if hint["destructiveHint"]} == LOSING
    assert all(hint["idempotentHint"] and not hint["openWorldHint"] for hint in hints.values())


async def test_schemas_are_plain_and_say_what_every_argument_is(ada: Agent) -> None:
    """Neither references nor ``null``, which some clients and models do not read; no description is missing."""
    for tool in (await ada.tools()).values():
        assert tool["inputSchema"]["additionalProperties"] is False
        assert all(argument["description"] for argument in tool["inputSchema"]["properties"].values())
        text = json.dumps([tool["inputSchema"], tool["outputSchema"]])
        assert "$ref" not in text
        assert '"null"' not in text


def test_the_types_of_the_schemas_are_those_there_are() -> None:
    assert get_args(Kind) == tuple(MemoryType)


async def test_what_is_added_is_found(ada: Agent, running: Running) -> None:
    added = await ada.call("add_memory", content=AISLE, type="procedural", importance=0.9, speaker="Ada")
    found = await ada.call("search_memories", query="which seat on long flights?")
    assert [hit["id"] for hit in found["memories"]] == [added["id"]]
    assert 0.5 <= found["memories"][0]["similarity"] <= 1
    record = await running.memory.get(ADA, added["id"])
    assert record is not None
    assert (record.content, record.type, record.importance, record.speaker) == (AISLE, "procedural", 0.9, "Ada")


async def test_the_text_beside_a_result_says_the_same(ada: Agent) -> None:
    answer = await ada.attempt("add_memory", content=AISLE)
    assert json.loads(answer.text) == answer.result


async def test_the_same_content_again_is_the_same_memory(ada: Agent) -> None:
    first = await ada.call("add_memory", content=AISLE)
    assert await ada.call("add_memory", content=AISLE) == first
    assert (await ada.call("list_memories"))["total"] == 1


async def test_a_search_takes_limit_threshold_types_and_decision(ada: Agent) -> None:
    for number in range(3):
        await ada.call("add_memory", content=f"seat {number} on long flights", type="episodic")
    await ada.call("add_memory", content="a seat on long flights", type="semantic")

    async def count(**arguments: Any) -> int:
        return len((await ada.call("search_memories", query="seat on long flights", **arguments))["memories"])

    assert await count() == 4
    assert await count(limit=2) == 2
    assert await count(types=["semantic"]) == 1
    assert await count(threshold=1) == 0
    assert await count(decision="exact") == 0
    assert await count(decision="") == 4


async def test_a_list_is_read_page_by_page(ada: Agent) -> None:
    added = [(await ada.call("add_memory", content=f"fact {number}"))["id"] for number in range(5)]
    seen, cursor = [], None
    while True:
        page = await ada.call("list_memories", limit=2, cursor=cursor)
        seen += [memory["id"] for memory in page["memories"]]
        assert page["total"] == 5
        if "next_cursor" not in page:
            break
        cursor = page["next_cursor"]
    assert seen == added[::-1]


async def test_an_update_changes_what_is_given_and_is_found_by_the_new_text(ada: Agent) -> None:
    added = await ada.call("add_memory", content=AISLE, importance=0.9)
    changed = await ada.call("update_memory", id=added["id"], content="grows tomatoes")
    assert changed == await ada.call("get_memory", id=added["id"])
    assert (changed["content"], changed["importance"], changed["created_at"]) == (
        "grows tomatoes",
        0.9,
        added["created_at"],
    )
    for query, similarity in (("grows tomatoes", 1.0), (AISLE, 0.0)):
        (hit,) = (await ada.call("search_memories", query=query, threshold=0))["memories"]
        assert hit["content"] == "grows tomatoes"
        assert hit["similarity"] == pytest.approx(similarity, abs=0.6)


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({"types": ["episodic"]}, {"a fact"}),
        ({"older_than": "2000-01-01T00:00:00Z"}, {"a fact", "an event"}),
        ({"older_than": "2100-01-01T00:00:00Z", "types": ["semantic"]}, {"an event"}),
        ({"everything": True}, set()),
    ],
)
async def test_what_is_to_be_forgotten_is(direct: Agent, arguments: dict[str, Any], left: set[str]) -> None:
    await direct.call("add_memory", content="a fact")
    await direct.call("add_memory", content="an event", type="episodic")
    forgotten = await direct.call("forget_memories", **arguments)
    assert {memory["content"] for memory in (await direct.call("list_memories"))["memories"]} == left
    assert forgotten == {"forgotten": 2 - len(left)}


async def test_memories_are_forgotten_by_id(ada: Agent) -> None:
    one, other = [(await ada.call("add_memory", content=text))["id"] for text in ("one", "other")]
    assert await ada.call("forget_memories", ids=[one, "unknown"]) == {"forgotten": 1}
    assert [memory["id"] for memory in (await ada.call("list_memories"))["memories"]] == [other]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"ids": [], "types": [], "everything": False},
        {"ids": ["x"], "types": ["semantic"]},
        {"ids": ["x"], "everything": True},
        {"types": ["semantic"], "everything": True},
    ],
)
async def test_a_call_that_does_not_say_one_way_forgets_nothing(direct: Agent, arguments: dict[str, Any]) -> None:
    await direct.call("add_memory", content=AISLE)
    message = await direct.refused("forget_memories", **arguments)
    assert message.startswith("INVALID_REQUEST: say what to forget")
    assert (await direct.call("list_memories"))["total"] == 1


async def test_anothers_memory_is_as_unknown_as_none(running: Running, ada: Agent) -> None:
    added = await ada.call("add_memory", content=AISLE)
    async with running.agent("bob") as bob:
        for tool, more in (("get_memory", {}), ("update_memory", {"content": "stands in the aisle"})):
            theirs = await bob.refused(tool, id=added["id"], **more)
            assert theirs == await bob.refused(tool, id="0" * 32, **more) == "NOT_FOUND: there is no memory of that id"
        assert await bob.call("forget_memories", ids=[added["id"]]) == {"forgotten": 0}
        assert await bob.call("forget_memories", everything=True) == {"forgotten": 0}
    assert await ada.call("get_memory", id=added["id"]) == added


SECRET = "tell-nobody-4711"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("add_memory", {}, "content: field required"),
        ("add_memory", {"content": "  "}, "content"),
        ("add_memory", {"content": SECRET * 10_000}, "content"),
        ("add_memory", {"content": 3}, "content: input should be a valid string"),
        (
            "add_memory",
            {"content": "x", "type": SECRET},
            "type: input should be 'semantic', 'procedural' or 'episodic'",
        ),
        ("add_memory", {"content": "x", "importance": 2}, "importance: input should be less than or equal to 1"),
        (
            "add_memory",
            {"content": "x", "user_id": SECRET},
            "user_id: extra inputs are not permitted (the arguments are",
        ),
        ("search_memories", {"query": " "}, "query must be a string that is not blank"),
        ("search_memories", {"query": "x", "limit": 0}, "limit: input should be greater than or equal to 1"),
        ("search_memories", {"query": "x", "limit": MAX_MEMORIES + 1}, "limit: input should be less than or equal to"),
        ("search_memories", {"query": "x", "decision": SECRET}, "the configuration has no decision of that name"),
        ("list_memories", {"cursor": SECRET}, "the cursor is not one of this store"),
        ("list_memories", {"types": ["semantic", SECRET]}, "types.1: input should be"),
        ("get_memory", {"id": ""}, "id: "),
        ("update_memory", {"id": "0" * 32}, "nothing to update"),
        ("forget_memories", {"older_than": SECRET}, "older_than: input should be a valid datetime"),
        ("prompt_with_memories", {}, "give either prompt or messages"),
        ("prompt_with_memories", {"prompt": "x", "messages": []}, "give either prompt or messages"),
        ("prompt_with_memories", {"messages": [SECRET]}, "messages.0: input should be a valid dictionary"),
        ("prompt_with_memories", {"prompt": "x", "decision": SECRET}, "the configuration has no decision of that name"),
    ],
)
async def test_a_wrong_argument_is_an_error_that_names_it(
    direct: Agent, tool: str, arguments: dict[str, Any], said: str
) -> None:
    """And does not repeat what was in it, which may be anything."""
    message = await direct.refused(tool, **arguments)
    assert message.startswith(f"INVALID_REQUEST: {said}")
    assert SECRET not in message


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_unknown_tool_is_an_error_of_the_protocol(running: Running, protocol: str) -> None:
    async with running.agent(protocol=protocol) as agent:
        with pytest.raises(protocol_error(), match="there is no such tool; there are add_memory, "):
            await agent.attempt("delete_everything")


async def test_a_broken_model_is_an_error_without_its_cause(ada: Agent, running: Running) -> None:
    running.embedder.failing = True
    message = await ada.refused("add_memory", content=AISLE)
    assert message == "MEMORY_NOT_AVAILABLE: memory is not available until an operator acts"
    assert (await ada.call("list_memories"))["total"] == 0


async def test_what_nobody_expected_is_an_error_that_says_nothing_of_itself(
    ada: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("router_memory.memory.MemoryPlugin.list", fail)
    message = await ada.refused("list_memories")
    assert message == "INTERNAL_ERROR: something went wrong here; the log of the server says what"


async def test_calls_are_reported(ada: Agent, running: Running) -> None:
    added = await ada.call("add_memory", content=AISLE)
    await ada.call("search_memories", query="seat on long flights")
    await ada.call("list_memories")
    await ada.call("update_memory", id=added["id"], importance=1)
    await ada.refused("get_memory", id="unknown")
    await ada.refused("search_memories", query="")
    await ada.call("prompt_with_memories", prompt="Which seat do I like on long flights?")
    running.embedder.failing = True
    await ada.refused("search_memories", query="x")
    await ada.call("forget_memories", ids=[added["id"]])
    assert running.telemetry.operations == [
        ("add", "ok", None),
        ("search", "ok", 1),
        ("list", "ok", 1),
        ("update", "ok", None),
        ("get", "not_found", None),
        ("search", "invalid", None),
        ("search", "error", None),
        ("forget", "ok", None),
    ]
    assert running.telemetry.requests == [("mcp", "injected")]
