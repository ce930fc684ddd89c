"""A small OpenAI-compatible server that says what it was sent, to try a gateway out without a model."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from router_memory.errors import MissingExtra
from router_memory.pipeline.messages import BLOCK_START

try:
    import orjson
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route
except ImportError as error:  # pragma: no cover - a test of the wheel without extras sees it
    raise MissingExtra("the demonstration's upstream", extra="server") from error

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["MODEL", "echo_app", "echo_of"]

MODEL = "echo"
"""The one model there is."""

_MOST_CHOICES = 16
_BLOCK = re.compile(f'{re.escape(BLOCK_START)}(\\w+)">(.*?)</user_memory id="\\1">', re.DOTALL)
_MEMORY = re.compile(r"^- \[", re.MULTILINE)
"""Each begins a line so, and nothing else in the block does: see `router_memory.pipeline.inject`."""


def echo_app(*, delay: float = 0.0) -> Starlette:
    """The server's application.

    Args:
        delay: Seconds before each part of a streamed answer, and before an answer in one piece.
    """
    numbers = itertools.count(1)

    async def models(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model()]})

    async def chat(request: Request) -> Response:
        body = await _body(request)
        if body is None or not isinstance(body.get("messages"), list):
            return _refused("messages must be a list")
        text = echo_of(body["messages"])
        return await _answer(_Chat(body, text, next(numbers)), body, delay)

    async def responses(request: Request) -> Response:
        body = await _body(request)
        if body is None or not isinstance(body.get("input"), str | list):
            return _refused("input must be a text or a list")
        text = echo_of(_of_input(body))
        return await _answer(_Responses(body, text, next(numbers)), body, delay)

    return Starlette(
        routes=[
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/responses", responses, methods=["POST"]),
        ]
    )


def echo_of(messages: list[Any]) -> str:
    """The answer to these messages: all of them as they came, and how many memories are among them.

    The messages stand between think tags, as reasoning does: memory stores no reasoning, or what it had injected would
    come back to it as something new. Nor does the rest repeat the user: a copy of each question would be remembered
    beside it, and be found in place of what answers it.
    """
    said = [message for message in messages if isinstance(message, Mapping)]
    lines = [f"[{message.get('role', '?')}] {_text(message.get('content'))}" for message in said]
    memories = sum(len(_MEMORY.findall(block)) for line in lines for _, block in _BLOCK.findall(line))
    answer = f"I was given {_counted(memories, 'memory', 'memories')}." if memories else "Noted."
    sent = f"I was sent {_counted(len(messages), 'message', 'messages')}:"
    return "\n".join(["<think>", sent, *lines, "</think>", answer])


class _Chat:
    """A chat completion."""

    def __init__(self, body: Mapping[str, Any], text: str, number: int) -> None:
        self._text = text
        self._head = {"id": f"chatcmpl-echo-{number}", "created": int(time.time()), "model": _named(body)}
        wanted = body.get("n")
        self._choices = min(wanted, _MOST_CHOICES) if isinstance(wanted, int) and wanted > 0 else 1
        options = body.get("stream_options")
        self._with_usage = isinstance(options, Mapping) and options.get("include_usage") is True

    def document(self) -> dict[str, Any]:
        """The answer in one piece."""
        message = {"role": "assistant", "content": self._text, "refusal": None}
        choices = [
            {"index": index, "message": message, "finish_reason": "stop", "logprobs": None}
            for index in range(self._choices)
        ]
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": self._usage()}

    def events(self) -> Iterator[bytes]:
        """The answer as a stream."""
        yield self._chunk({"role": "assistant", "content": ""})
        for word in _words(self._text):
            yield self._chunk({"content": word})
        yield self._chunk({}, finish="stop")
        if self._with_usage:
            yield _event({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()})
        yield b"data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], *, finish: str | None = None) -> bytes:
        choices = [{"index": index, "delta": delta, "finish_reason": finish} for index in range(self._choices)]
        return _event({**self._head, "object": "chat.completion.chunk", "choices": choices})

    def _usage(self) -> dict[str, int]:
        count = len(self._text.split())
        return {"prompt_tokens": count, "completion_tokens": count, "total_tokens": 2 * count}


class _Responses:
    """A response."""

    def __init__(self, body: Mapping[str, Any], text: str, number: int) -> None:
        self._text = text
        self._item = f"msg_echo_{number}"
        self._head = {
            "id": f"resp_echo_{number}",
            "object": "response",
            "created_at": int(time.time()),
            "model": _named(body),
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
        }

    def document(self) -> dict[str, Any]:
        """The answer in one piece."""
        return {**self._head, "status": "completed", "output": [self._message("completed", _part(self._text))]}

    def events(self) -> Iterator[bytes]:
        """The answer as a stream."""
        numbers = itertools.count()
        place = {"item_id": self._item, "output_index": 0, "content_index": 0}

        def event(kind: str, **fields: Any) -> bytes:
            return b"event: %s\n" % kind.encode() + _event({"type": kind, "sequence_number": next(numbers), **fields})

        begun, whole = {**self._head, "status": "in_progress", "output": []}, _part(self._text)
        yield event("response.created", response=begun)
        yield event("response.in_progress", response=begun)
        yield event("response.output_item.added", output_index=0, item=self._message("in_progress"))
        yield event("response.content_part.added", **place, part=_part(""))
        for word in _words(self._text):
            yield event("response.output_text.delta", **place, delta=word, logprobs=[])
        yield event("response.output_text.done", **place, text=self._text, logprobs=[])
        yield event("response.content_part.done", **place, part=whole)
        yield event("response.output_item.done", output_index=0, item=self._message("completed", whole))
        yield event("response.completed", response=self.document())

    def _message(self, status: str, *parts: dict[str, Any]) -> dict[str, Any]:
        return {"id": self._item, "type": "message", "role": "assistant", "status": status, "content": list(parts)}


async def _answer(reply: _Chat | _Responses, body: Mapping[str, Any], delay: float) -> Response:
    if body.get("stream") is True:
        return StreamingResponse(_slowly(reply.events, delay), media_type="text/event-stream")
    await asyncio.sleep(delay)
    return JSONResponse(reply.document())


async def _slowly(events: Callable[[], Iterator[bytes]], delay: float) -> AsyncIterator[bytes]:
    for event in events():
        await asyncio.sleep(delay)
        yield event


async def _body(request: Request) -> dict[str, Any] | None:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _of_input(body: Mapping[str, Any]) -> list[Any]:
    """What a request of the Responses API says, as messages."""
    instructions, given = body.get("instructions"), body["input"]
    lead = [{"role": "system", "content": instructions}] if isinstance(instructions, str) else []
    return [*lead, *([{"role": "user", "content": given}] if isinstance(given, str) else given)]


def _text(content: Any) -> str:
    """A content's text; other parts by their type."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return " ".join(
        part["text"] if isinstance(part.get("text"), str) else f"({part.get('type', '?')})"
        for part in parts
        if isinstance(part, Mapping)
    )


def _counted(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _words(text: str) -> Iterator[str]:
    """The text in parts that add up to it."""
    for line in text.splitlines(keepends=True):
        for word in line.split(" "):
            yield word if word.endswith("\n") else f"{word} "


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "router-memory"}


def _named(body: Mapping[str, Any]) -> str:
    name = body.get("model")
    return name if isinstance(name, str) else MODEL


def _refused(message: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, 400)
