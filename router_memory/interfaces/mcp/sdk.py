"""The one module that knows the `mcp` SDK, in which versions 1.x and 2.x differ.

Of the SDK only the low-level server is used: what the layer above it is called and does changed between the
versions, while this one kept its protocol types. Tools, prompts and results go in and out in the form they have on
the wire, which both versions read, so what differs is how handlers are registered and how errors are raised.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router_memory import __version__
from router_memory.errors import MissingExtra

try:
    from mcp import types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings
except ModuleNotFoundError as error:
    if error.name != "mcp":  # it is there, and something it needs is not
        raise
    raise MissingExtra("the MCP server", extra="mcp") from None

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

__all__ = ["Handlers", "Output", "Refused", "answer_http", "answer_lines"]

Wire = Mapping[str, Any]
"""A part of the protocol as JSON has it."""

_NAME = "router-memory"
_ONE = hasattr(Server, "list_tools")
"""Whether this is 1.x, where handlers are registered after the server was made."""

_LIMITED = "max_request_body_size" in inspect.signature(StreamableHTTPSessionManager).parameters
"""Early 1.x has no limit of its own."""


class Refused(Exception):
    """A request that the protocol itself has an error for: an unknown tool, or arguments that do not fit a prompt.

    Args:
        message: One sentence for people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Handlers:
    """What a server offers and does. Raises `Refused` and nothing else.

    Attributes:
        instructions: For the model that uses it.
        tools, prompts: Their descriptions.
        call_tool, get_prompt: Gives the result for a name and arguments.
    """

    instructions: str
    tools: Sequence[Wire]
    prompts: Sequence[Wire]
    call_tool: Callable[[str, Wire], Awaitable[Wire]]
    get_prompt: Callable[[str, Wire], Awaitable[Wire]]


class Output:
    """A place for lines, in the form in which the SDK writes them.

    Args:
        write: Takes a text.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    async def write(self, text: str) -> None:
        """Writes it."""
        self._write(text)

    async def flush(self) -> None:
        """Nothing is held back."""


async def answer_lines(handlers: Handlers, lines: AsyncIterable[str], output: Output) -> None:
    """Serves one client that sends a message a line, until the lines end."""
    server = _server(handlers)
    streams: Any = {"stdin": lines, "stdout": output}  # the SDK's type is that of a file; it iterates, writes, flushes
    async with stdio_server(**streams) as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def answer_http(handlers: Handlers, scope: Scope, receive: Receive, send: Send, *, max_bytes: int) -> None:
    """Answers one POST of streamable HTTP, with JSON and without a session.

    A server and its task group live as long as the request. So nothing of one request can be seen from another,
    nothing has to run beside them, and any worker can answer any request.

    Args:
        max_bytes: Of the request's body.
    """
    limit: Any = {"max_request_body_size": max_bytes} if _LIMITED else {}
    manager = StreamableHTTPSessionManager(
        _server(handlers),
        json_response=True,
        stateless=True,
        # Whom to believe is settled before; the SDK's own check knows no way to let a gateway's `Host` through.
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        **limit,
    )
    async with manager.run():
        await manager.handle_request(scope, receive, send)


def _server(handlers: Handlers) -> Server[Any]:
    return _first(handlers) if _ONE else _second(handlers)


def _first(handlers: Handlers) -> Server[Any]:
    """Of 1.x."""
    one: Any = types
    server: Any = Server(_NAME, version=__version__, instructions=handlers.instructions)

    async def list_tools(_: object) -> Any:
        return one.ServerResult(types.ListToolsResult.model_validate({"tools": handlers.tools}))

    async def call_tool(request: Any) -> Any:
        result = await _asked(handlers.call_tool, request.params)
        return one.ServerResult(types.CallToolResult.model_validate(result))

    async def list_prompts(_: object) -> Any:
        return one.ServerResult(types.ListPromptsResult.model_validate({"prompts": handlers.prompts}))

    async def get_prompt(request: Any) -> Any:
        result = await _asked(handlers.get_prompt, request.params)
        return one.ServerResult(types.GetPromptResult.model_validate(result))

    server.request_handlers[types.ListToolsRequest] = list_tools
    server.request_handlers[types.CallToolRequest] = call_tool
    server.request_handlers[types.ListPromptsRequest] = list_prompts
    server.request_handlers[types.GetPromptRequest] = get_prompt
    return server  # type: ignore[no-any-return]


def _second(handlers: Handlers) -> Server[Any]:
    """Of 2.x."""

    async def list_tools(_: object, _params: object) -> types.ListToolsResult:
        return types.ListToolsResult.model_validate({"tools": handlers.tools})

    async def call_tool(_: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult.model_validate(await _asked(handlers.call_tool, params))

    async def list_prompts(_: object, _params: object) -> types.ListPromptsResult:
        return types.ListPromptsResult.model_validate({"prompts": handlers.prompts})

    async def get_prompt(_: object, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return types.GetPromptResult.model_validate(await _asked(handlers.get_prompt, params))

    server: Any = Server(
        _NAME,
        version=__version__,
        instructions=handlers.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )
    schemas = {tool["name"]: tool["inputSchema"] for tool in handlers.tools}
    server.get_tool_input_schema = schemas.get  # or it would list the tools for every call
    return server  # type: ignore[no-any-return]


async def _asked(handler: Callable[[str, Wire], Awaitable[Wire]], params: Any) -> Wire:
    """The handler's answer, with its refusal as the SDK's error."""
    try:
        return await handler(params.name, params.arguments or {})
    except Refused as refused:
        raise _protocol_error(refused.message) from None


def _protocol_error(message: str) -> Exception:
    import mcp.shared.exceptions as exceptions

    kinds: Any = exceptions
    error = types.ErrorData(code=types.INVALID_PARAMS, message=message)
    return kinds.McpError(error) if _ONE else kinds.MCPError.from_error_data(error)  # type: ignore[no-any-return]
