"""Standard input and output: one user, nothing but the protocol, and an answer before the model is there."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin, Scope
from router_memory.cli.entry import OK, USAGE, run
from router_memory.errors import BackendUnavailable
from router_memory.interfaces.mcp.stdio import serve_stdio
from router_memory.interfaces.mcp.wire import Wire
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.interfaces.mcp.clients import PROTOCOLS, over_stdio
from tests.interfaces.mcp.conftest import configuration

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-c", "from router_memory.cli import main; main()", "mcp"]
DOUBLE = [sys.executable, "-m", "tests.interfaces.mcp.stdio_double"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def message(number: int, method: str, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


INITIALIZE = message(
    0, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "0"}
)
INITIALIZED = b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n'


class Peer:
    """The client's side of a server in this process."""

    def __init__(self, writes: int, replies: asyncio.StreamReader) -> None:
        self._writes = writes
        self._replies = replies

    def send(self, line: bytes) -> None:
        os.write(self._writes, line)

    async def reply(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self._replies.readline())
        return found

    async def greet(self) -> dict[str, Any]:
        self.send(INITIALIZE)
        reply = await self.reply()
        self.send(INITIALIZED)
        return reply

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        self.send(message(1, "tools/call", name=tool, arguments=arguments))
        result: dict[str, Any] = (await self.reply())["result"]
        return result


@asynccontextmanager
async def serving(make: Callable[[], MemoryPlugin], scope: Scope = Scope("ada")) -> AsyncIterator[Peer]:  # noqa: B008
    theirs, writes = os.pipe()
    reads, ours = os.pipe()
    replies = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(replies), os.fdopen(reads, "rb"))
    server = asyncio.create_task(serve_stdio(scope, make, Wire(theirs, ours)))
    try:
        yield Peer(writes, replies)
    finally:
        os.close(writes)
        await server
        transport.close()
        os.close(ours)
        os.close(theirs)


def plugin(folder: Path, embedder: HashingEmbedder | None = None) -> MemoryPlugin:
    return MemoryPlugin(Assembly(configuration(folder), lambda: embedder or HashingEmbedder()))


async def test_a_client_is_greeted_and_shown_the_tools_while_memory_is_being_opened(tmp_path: Path) -> None:
    """The first call waits for it."""
    go = threading.Event()

    def make() -> MemoryPlugin:
        go.wait()
        return plugin(tmp_path)

    async with serving(make) as peer:
        try:
            assert (await peer.greet())["result"]["serverInfo"]["name"] == "router-memory"
            peer.send(message(1, "tools/list"))
            assert (await peer.reply())["result"]["tools"]
            peer.send(message(2, "tools/call", name="list_memories", arguments={}))
            peer.send(message(3, "ping"))
            assert (await peer.reply())["id"] == 3
        finally:
            go.set()
        reply = await peer.reply()
        assert (reply["id"], reply["result"]["structuredContent"]) == (2, {"memories": [], "total": 0})


async def test_memory_that_cannot_be_opened_is_tried_again_by_the_next_call(tmp_path: Path) -> None:
    """The person at this machine is told why, and a prompt goes on without memories."""
    failing = True

    def make() -> MemoryPlugin:
        if failing:
            raise BackendUnavailable("connection refused", backend="valkey", operation="open", hint="is it running?")
        return plugin(tmp_path)

    async with serving(make) as peer:
        await peer.greet()
        prompted = await peer.call("prompt_with_memories", prompt="Which seat?")
        assert prompted["structuredContent"]["reason"] == "store_unavailable"
        assert prompted["structuredContent"]["messages"] == [{"role": "user", "content": "Which seat?"}]
        refused = await peer.call("list_memories")
        assert refused["isError"]
        assert refused["content"][0]["text"] == (
            "MEMORY_NOT_AVAILABLE: valkey open: connection refused (is it running?)"
        )
        failing = False
        assert (await peer.call("list_memories"))["structuredContent"] == {"memories": [], "total": 0}


async def test_a_client_that_hangs_up_while_memory_is_being_opened_ends_the_server(tmp_path: Path) -> None:
    go = threading.Event()

    def make() -> MemoryPlugin:
        go.wait()
        return plugin(tmp_path)

    async with serving(make) as peer:
        await peer.greet()
        go.set()


async def test_memory_is_closed_at_the_end(tmp_path: Path) -> None:
    made: list[MemoryPlugin] = []

    def make() -> MemoryPlugin:
        made.append(plugin(tmp_path))
        return made[0]

    async with serving(make) as peer:
        await peer.greet()
        await peer.call("list_memories")
    with pytest.raises(BackendUnavailable, match="not open"):
        await made[0].count(Scope("ada"))


async def test_every_call_is_about_the_user_and_project_of_the_start(tmp_path: Path) -> None:
    async with plugin(tmp_path) as memory:
        await memory.add(Scope("ada"), "of no project")
        await memory.add(Scope("ada", "garden"), "of the garden")
        await memory.add(Scope("bob", "garden"), "of bob")
    async with serving(lambda: plugin(tmp_path), Scope("ada", "garden")) as peer:
        await peer.greet()
        listed = (await peer.call("list_memories"))["structuredContent"]["memories"]
    assert [memory["content"] for memory in listed] == ["of the garden"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_sdks_client_talks_to_a_process_that_prints(tmp_path: Path, protocol: str) -> None:
    """What a library or a process it starts prints does not reach the client, and neither reads its messages."""
    async with over_stdio([*DOUBLE, str(tmp_path), "ada"], environment(), protocol=protocol) as agent:
        added = await agent.call("add_memory", content="prefers an aisle seat")
        assert (await agent.call("list_memories"))["memories"] == [added]
        assert "INVALID_REQUEST" in await agent.refused("add_memory", content="")


def test_standard_output_holds_messages_and_nothing_else(tmp_path: Path) -> None:
    calls = [message(1, "tools/call", name="list_memories", arguments={}), b"not json\n", b"\xff\n"]
    process = subprocess.Popen(
        [*DOUBLE, str(tmp_path), "ada"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines: list[bytes] = []
    for line in (INITIALIZE, INITIALIZED, *calls):
        process.stdin.write(line)
        process.stdin.flush()
    while not any(b'"total"' in line for line in lines):
        lines.append(process.stdout.readline())
    rest, errors = process.communicate()
    assert process.returncode == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in [*lines, *rest.splitlines()])
    assert b"a library prints" in errors


def test_sigterm_ends_it_in_good_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*DOUBLE, str(tmp_path), "ada"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(INITIALIZE)
    process.stdin.flush()
    assert b"serverInfo" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == OK


@pytest.mark.model
async def test_the_real_command_remembers_for_the_user_of_the_environment(
    tmp_path: Path, exported_models: Path
) -> None:
    del exported_models
    config = tmp_path / "config.yaml"
    section = {"enabled": True, "embedded": {"path": str(tmp_path / "memory.db")}}
    config.write_text(json.dumps({"global": {"stores": {"memory": section}}}))
    variables = environment(ROUTER_MEMORY_USER="ada", ROUTER_MEMORY_CONFIG=str(config))
    async with over_stdio([*COMMAND, "--project", "travel"], variables) as agent:
        added = await agent.call("add_memory", content="On planes I take the aisle seat.")
        found = await agent.call("search_memories", query="Which seat do I take on a plane?")
    assert added["project"] == "travel"
    assert [memory["id"] for memory in found["memories"]] == [added["id"]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--user is missing"),
        (["--user", " "], "user_id must not be empty"),
        (["--user", "ada", "--port", "8080"], "--host and --port belong to --http"),
        (["--http", "--user", "ada"], "each request says who is asking"),
        (["--http", "--project", "garden"], "each request says who is asking"),
        (["--user", "ada", "--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (["--http", "--port", "65536"], "'--port'"),
    ],
)
def test_a_wrong_command_line_serves_nothing(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROUTER_MEMORY_USER", raising=False)
    assert run(["mcp", *arguments]) == USAGE
    output = capfd.readouterr()
    assert said in output.err
    assert output.out == ""
