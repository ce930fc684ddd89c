"""A prompt comes back with the memories that matter for it, or as it was."""

from __future__ import annotations

import pytest

from tests.interfaces.mcp.clients import PROTOCOLS, Agent, protocol_error
from tests.interfaces.mcp.conftest import Running

AISLE = "prefers an aisle seat on long flights"
QUESTION = "Which seat do I like on long flights?"


async def test_memories_are_put_into_a_prompt(ada: Agent) -> None:
    added = await ada.call("add_memory", content=AISLE)
    given = await ada.call("prompt_with_memories", prompt=QUESTION)
    assert (given["status"], given["reason"]) == ("used", "injected")
    block, question = given["messages"]
    assert AISLE in block["content"]
    assert question == {"role": "user", "content": QUESTION}
    assert [memory["id"] for memory in given["memories"]] == [added["id"]]


async def test_a_conversation_keeps_every_message_as_it_was(ada: Agent) -> None:
    await ada.call("add_memory", content=AISLE)
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "{}"},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}], "name": "Ada"},
    ]
    given = await ada.call("prompt_with_memories", messages=messages)
    assert [message for message in given["messages"] if message in messages] == messages
    assert len(given["messages"]) == len(messages) + 1
    assert AISLE in given["messages"][1]["content"]


async def test_prompting_stores_nothing(ada: Agent, running: Running) -> None:
    await ada.call("prompt_with_memories", prompt=QUESTION)
    await running.memory.drain()
    assert (await ada.call("list_memories"))["total"] == 0


async def test_the_decision_decides(ada: Agent) -> None:
    await ada.call("add_memory", content=AISLE)
    given = await ada.call("prompt_with_memories", prompt=QUESTION, decision="off")
    assert (given["status"], given["reason"]) == ("disabled", "decision_config")
    assert given["messages"] == [{"role": "user", "content": QUESTION}]


async def test_memory_that_fails_leaves_the_prompt_as_it_was(ada: Agent, running: Running) -> None:
    await ada.call("add_memory", content=AISLE)
    running.embedder.failing = True
    given = await ada.call("prompt_with_memories", prompt=QUESTION)
    assert (given["status"], given["reason"]) == ("unavailable", "retrieval_error")
    assert given["messages"] == [{"role": "user", "content": QUESTION}]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_same_is_a_prompt_of_the_protocol(running: Running, protocol: str) -> None:
    async with running.agent(protocol=protocol) as agent:
        (described,) = await agent.prompts()
        assert [argument["name"] for argument in described["arguments"] if argument["required"]] == ["prompt"]
        await agent.call("add_memory", content=AISLE)
        (role, block), question = await agent.prompt("prompt_with_memories", prompt=QUESTION)
    assert role == "user"
    assert AISLE in block
    assert question == ("user", QUESTION)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("another", {"prompt": "x"}, "there is no such prompt; there is prompt_with_memories"),
        ("prompt_with_memories", {}, "takes a prompt and may take a decision"),
        ("prompt_with_memories", {"prompt": "x", "user_id": "bob"}, "takes a prompt and may take a decision"),
        ("prompt_with_memories", {"prompt": "x", "decision": "nope"}, "no decision of that name"),
    ],
)
async def test_a_wrong_prompt_is_an_error_of_the_protocol(
    ada: Agent, name: str, arguments: dict[str, str], said: str
) -> None:
    with pytest.raises(protocol_error(), match=said):
        await ada.prompt(name, **arguments)
