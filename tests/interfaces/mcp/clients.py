"""The SDK's own client, of whichever version is installed, as tests use it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import mcp
import pytest
from mcp import ClientSession, StdioServerParameters, types
from mcp.client import streamable_http
from mcp.client.stdio import stdio_client

from router_memory.interfaces.mcp.sdk import Handlers

LATEST = "latest"
"""The protocol without a handshake, which 2.x speaks beside the older one."""

HANDSHAKE = "handshake"

PROTOCOLS = (HANDSHAKE, LATEST)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gave.

    Attributes:
        result: The structured output; empty for an error.
        text: The text beside it.
        error: Whether it is one.
    """

    result: dict[str, Any]
    text: str
    error: bool


class Agent:
    """A client that is connected.

    Args:
        session: Of the SDK.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    @classmethod
    def direct(cls, handlers: Handlers) -> Agent:
        """A client without a connection, for tests of many arguments."""
        return cls(_Direct(handlers))

    async def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The result of a tool, which must not be an error. The client checks it against the tool's schema."""
        answer = await self.attempt(tool, **arguments)
        assert not answer.error, answer.text
        return answer.result

    async def refused(self, tool: str, /, **arguments: Any) -> str:
        """The message of the error that a tool must give."""
        answer = await self.attempt(tool, **arguments)
        assert answer.error, answer.text
        return answer.text

    async def attempt(self, tool: str, /, **arguments: Any) -> Answer:
        """What a tool gives."""
        found = _wire(await self._session.call_tool(tool, arguments))
        (text,) = [block["text"] for block in found["content"]]
        return Answer(found.get("structuredContent") or {}, text, bool(found.get("isError")))

    async def tools(self) -> dict[str, dict[str, Any]]:
        """The descriptions of the tools, by name."""
        return {tool["name"]: tool for tool in _wire(await self._session.list_tools())["tools"]}

    async def prompts(self) -> list[dict[str, Any]]:
        """The descriptions of the prompts."""
        found: list[dict[str, Any]] = _wire(await self._session.list_prompts())["prompts"]
        return found

    async def prompt(self, name: str, /, **arguments: str) -> list[tuple[str, str]]:
        """Role and text of a prompt's messages."""
        found = _wire(await self._session.get_prompt(name, arguments))
        return [(message["role"], message["content"]["text"]) for message in found["messages"]]


class _Direct:
    """What an agent needs of a session, without one."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    async def call_tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        return types.CallToolResult.model_validate(await self._handlers.call_tool(name, arguments))


@asynccontextmanager
async def over_http(url: str, headers: Mapping[str, str], *, protocol: str = HANDSHAKE) -> AsyncIterator[Agent]:
    """A client of streamable HTTP."""
    library: Any = vars(streamable_http).get("httpx2") or vars(streamable_http)["httpx"]  # 2.x took another one
    async with library.AsyncClient(headers=dict(headers), verify=False, timeout=60) as http:
        transport: Any = streamable_http.streamable_http_client(url, http_client=http)
        async with _connected(transport, protocol) as agent:
            yield agent


@asynccontextmanager
async def over_stdio(
    command: Sequence[str], environment: Mapping[str, str], *, protocol: str = HANDSHAKE
) -> AsyncIterator[Agent]:
    """A client that starts the command and talks to it."""
    server = StdioServerParameters(command=command[0], args=list(command[1:]), env=dict(environment))
    async with _connected(stdio_client(server), protocol) as agent:
        yield agent


@asynccontextmanager
async def _connected(transport: Any, protocol: str) -> AsyncIterator[Agent]:
    if protocol == LATEST:
        latest = getattr(mcp, "Client", None)
        if latest is None:
            pytest.skip("mcp 1.x speaks no protocol without a handshake")
        async with latest(transport) as client:
            yield Agent(client)
        return
    async with transport as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        yield Agent(session)


def _wire(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return found


def protocol_error() -> type[Exception]:
    """What the client raises for an error of the protocol; 1.x and 2.x write it differently."""
    import mcp.shared.exceptions as exceptions

    found = [each for name, each in inspect.getmembers(exceptions) if name.casefold() == "mcperror"]
    error: type[Exception] = found[0]
    return error
