"""Streamable HTTP as part of the service, and alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from router_memory import Scope
from tests.interfaces.mcp.clients import PROTOCOLS
from tests.interfaces.mcp.conftest import Running, Serve, configuration
from tests.interfaces.mcp.test_identity import ACCEPT, CALL, http_client, post

ADA = ("x-authz-user-id", "ada")


async def test_one_post_is_one_answer_in_json_at_this_very_path(running: Running) -> None:
    answer = await post(running, [ADA])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["result"]["structuredContent"] == {"memories": [], "total": 0}


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
async def test_there_is_nothing_to_listen_to_and_no_session_to_end(running: Running, method: str) -> None:
    async with http_client() as client:
        answer = await client.request(method, running.url, headers=dict([ADA]))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


async def test_what_is_no_message_is_refused_by_the_protocol(running: Running) -> None:
    async with http_client() as client:
        headers = dict([ADA]) | ACCEPT | {"content-type": "application/json"}
        answer = await client.post(running.url, content=b"{", headers=headers)
    assert answer.status_code == 400
    assert "error" in answer.json()


async def test_a_body_past_the_limit_is_refused_and_one_below_is_not(serve: Serve) -> None:
    async with serve(service={"limits": {"body_mb": 6}}) as running:
        arguments = {"messages": [{"role": "user", "content": "x" * 5_500_000}]}
        body = {**CALL, "params": {"name": "prompt_with_memories", "arguments": arguments}}
        assert (await post(running, [ADA], body)).status_code == 200
        arguments["messages"] *= 2
        refused = await post(running, [ADA], body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


async def test_a_body_of_too_many_values_is_refused_before_it_is_read(running: Running) -> None:
    body = {**CALL, "params": {"name": "list_memories", "arguments": {"types": [[]] * 60_000}}}
    refused = await post(running, [ADA], body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "INVALID_REQUEST")


async def test_alone_there_is_nothing_but_mcp_and_a_sign_of_life(serve: Serve) -> None:
    async with serve(alone=True) as running:
        async with running.agent() as agent:
            await agent.call("add_memory", content="of ada")
        async with http_client() as client:
            assert (await client.get(f"{running.base}/livez")).status_code == 200
            for path in ("/v1/memory", "/ui", "/metrics", "/openapi.json", "/v1/chat/completions"):
                assert (await client.get(running.base + path, headers=dict([ADA]))).status_code == 404


async def test_before_memory_is_open_a_client_is_told_to_come_back(serve: Serve) -> None:
    async with serve(alone=True, opened=False) as running:
        early = await post(running, [ADA])
        assert (early.status_code, early.json()["error"]["code"]) == (503, "MEMORY_NOT_AVAILABLE")
        assert early.headers["retry-after"] == "1"
        await running.service.open()
        assert (await post(running, [ADA])).status_code == 200


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_call_keeps_its_configuration_while_another_one_is_loaded(running: Running, protocol: str) -> None:
    """It holds a lease: the memory it began with is not closed under it."""
    before = running.service.generation
    await running.memory.add(Scope("ada"), "prefers an aisle seat")
    async with running.agent(protocol=protocol) as agent:
        running.embedder.asked.clear()
        running.embedder.gate.clear()
        call = asyncio.create_task(agent.call("search_memories", query="which seat?"))
        await running.embedder.asked.wait()
        assert before.users == 1
        running.following.append(configuration(running.folder, default_retrieval_limit=7))
        await running.service.colleagues.reload()
        assert before.users == 1
        running.embedder.gate.set()
        assert (await call)["memories"]
        assert before.users == 0
        await agent.call("add_memory", content="with the new one")
    assert await running.memory.count(Scope("ada")) == 2


async def test_every_lease_is_given_back(running: Running) -> None:
    async with running.agent() as agent:
        await agent.refused("get_memory", id="unknown")
    for headers in ([ADA], [], [ADA, ("origin", "http://evil.example")]):
        await post(running, headers)
    assert running.service.generation.users == 0


def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    section = {"enabled": False, "embedded": {"path": str(tmp_path / "memory.db")}}
    config.write_text(json.dumps({"global": {"stores": {"memory": section}}}))
    code = "from router_memory.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "mcp", "--http", "--port", "0", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "ROUTER_MEMORY_USER": "nobody-asked"},
    )
    assert process.stderr is not None
    try:
        _, _, url = process.stderr.readline().strip().rpartition(" ")
        assert httpx.get(url.replace("/mcp", "/livez"), verify=False).status_code == 200
        assert httpx.post(url, json=CALL, verify=False).status_code in (401, 503)
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate()
    assert (process.returncode, output) == (0, "")
