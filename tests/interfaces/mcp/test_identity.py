"""Over HTTP every call acts for the user of its own request, and for nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from router_memory import Scope
from tests.interfaces.mcp.clients import PROTOCOLS, Agent
from tests.interfaces.mcp.conftest import Running, Serve

CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "list_memories", "arguments": {}},
}
ACCEPT = {"accept": "application/json, text/event-stream"}


def http_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(verify=False)  # reading the certificates takes longer than the tests


async def post(running: Running, headers: list[tuple[str, Any]], body: Any = CALL) -> httpx.Response:
    async with http_client() as client:
        return await client.post(running.url, json=body, headers=[*ACCEPT.items(), *headers])


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_two_users_at_once_never_see_each_other(running: Running, protocol: str) -> None:
    """200 calls, writes among reads, over two connections with many calls on the way at a time."""
    calls = 100

    async def one(agent: Agent, user: str, number: int) -> set[str]:
        if number % 2:
            record = await agent.call("add_memory", content=f"seat {number} of {user}")
            return {record["content"]}
        if number % 4:
            found = await agent.call("search_memories", query="which seat?", threshold=0, limit=10)
        else:
            found = await agent.call("list_memories", limit=10)
        return {memory["content"] for memory in found["memories"]}

    async with running.agent("ada", protocol=protocol) as ada, running.agent("bob", protocol=protocol) as bob:
        work = [one(agent, user, number) for number in range(calls) for agent, user in ((ada, "ada"), (bob, "bob"))]
        seen = await asyncio.gather(*work)
    assert {text.split()[-1] for texts in seen[::2] for text in texts} == {"ada"}
    assert {text.split()[-1] for texts in seen[1::2] for text in texts} == {"bob"}
    for user in ("ada", "bob"):
        assert await running.memory.count(Scope(user)) == calls // 2


async def test_one_connection_serves_whoever_each_request_names(running: Running) -> None:
    await running.memory.add(Scope("ada"), "of ada")
    await running.memory.add(Scope("bob"), "of bob")
    async with http_client() as client:

        async def listed(user: str) -> list[str]:
            answer = await client.post(running.url, json=CALL, headers={**ACCEPT, "x-authz-user-id": user})
            memories = answer.json()["result"]["structuredContent"]["memories"]
            return [memory["content"] for memory in memories]

        for _ in range(3):
            assert [await listed("ada"), await listed("bob")] == [["of ada"], ["of bob"]]


async def test_a_session_of_another_user_is_worth_nothing(running: Running) -> None:
    """There are none: an id that a client makes up, or has from somewhere, changes nothing."""
    await running.memory.add(Scope("ada"), "of ada")
    answer = await post(running, [("x-authz-user-id", "bob"), ("mcp-session-id", "of-ada")])
    assert answer.json()["result"]["structuredContent"]["memories"] == []
    assert "mcp-session-id" not in answer.headers


async def test_users_are_compared_exactly(running: Running) -> None:
    await running.memory.add(Scope("Ada"), "of Ada")
    for user in ("ada", "Ada,ada", "a"):
        answer = await post(running, [("x-authz-user-id", user)])
        assert answer.json()["result"]["structuredContent"]["total"] == 0


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 401, "MISSING_USER_ID"),
        ([("x-authz-user-id", "")], 401, "MISSING_USER_ID"),
        ([("x-authz-user-id", "ada"), ("x-authz-user-id", "bob")], 401, "NOT_AUTHENTICATED"),
        ([("x-authz-user-id", "ada"), ("x-project-id", "a"), ("x-project-id", "b")], 400, "INVALID_PROJECT"),
        ([("x-authz-user-id", "ada"), ("x-project-id", b"\xff")], 400, "INVALID_PROJECT"),
    ],
)
async def test_who_does_not_say_properly_who_is_asking_gets_what_the_memory_api_gives(
    serve: Serve, headers: list[tuple[str, Any]], status: int, code: str, alone: bool
) -> None:
    """The same status, code and form, so that a client needs to know one."""
    async with serve(alone=alone) as running:
        refused = await post(running, headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert set(refused.json()["error"]) == {"code", "message", "timestamp"}
        assert (refused.headers.get("www-authenticate") == "Bearer") == (status == 401)
        if not alone:
            async with http_client() as client:
                other = await client.get(f"{running.base}/v1/memory", headers=headers)
            assert (other.status_code, other.json()["error"]["code"]) == (status, code)


async def test_initialize_needs_a_user_too(running: Running) -> None:
    assert (await post(running, [], {**CALL, "method": "initialize"})).status_code == 401


async def test_an_api_key_says_who_is_asking(serve: Serve, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    digest = hashlib.sha256(b"the-key-of-ada").hexdigest()
    keys.write_text(json.dumps([{"key_sha256": digest, "users": ["ada"], "admin": False, "name": "test"}]))
    async with serve(service={"auth": {"modes": ["api_key"], "api_keys_file": str(keys)}}) as running:
        async with running.agent("ada", authorization="Bearer the-key-of-ada") as agent:
            await agent.call("add_memory", content="of ada")
        assert await running.memory.count(Scope("ada")) == 1
        for nobody in (("x-authz-user-id", "ada"), ("authorization", "Bearer another"), ("x-api-key", "another")):
            assert (await post(running, [nobody])).status_code == 401
        key = ("authorization", "Bearer the-key-of-ada")
        assert (await post(running, [key, ("x-authz-user-id", "bob")])).status_code in (401, 403)
        assert (await post(running, [key, ("origin", "https://app.example.com")])).status_code == 200


async def test_a_project_narrows_what_is_read_and_names_what_is_written(running: Running) -> None:
    async with running.agent("ada", x_project_id="garden") as garden, running.agent("ada") as all_of_it:
        await garden.call("add_memory", content="tomatoes")
        await all_of_it.call("add_memory", content="no project")
        assert [memory["project"] for memory in (await garden.call("list_memories"))["memories"]] == ["garden"]
        assert (await all_of_it.call("list_memories"))["total"] == 2
        assert await garden.call("forget_memories", everything=True) == {"forgotten": 1}


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://evil.example:8080", 403),
        ("null", 403),
        ("http://localhost.evil.example", 403),
        ("http://[::1", 403),
        ("http://localhost:3000", 200),
        ("http://127.0.0.1", 200),
        ("https://[::1]:8443", 200),
    ],
)
async def test_a_page_from_elsewhere_reaches_no_service_that_believes_a_header_on_this_machine(
    running: Running, origin: str, status: int
) -> None:
    """DNS rebinding: the browser thinks the page's own name leads here, and lets the page set every header."""
    answer = await post(running, [("x-authz-user-id", "ada"), ("origin", origin)])
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "NOT_PERMITTED"
