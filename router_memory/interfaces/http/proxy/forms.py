"""The two forms of a chat request: what memory reads of each, and where a message goes into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from router_memory.interfaces.http.proxy.scan import Layout
from router_memory.interfaces.http.proxy.values import Edit, laid_out, read_object, read_objects, read_text, written
from router_memory.interfaces.http.proxy.view import view

__all__ = ["CHAT", "CLIENT_CALLS", "RESPONSES", "UNREAD", "Form", "Message", "Reading"]

Message = Mapping[str, Any]

CLIENT_CALLS = frozenset({"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call"})
"""Items of the Responses API with which the model asks the client for something, so that its turn goes on."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a body.

    Attributes:
        layout: Where its members lie.
        model: What it names.
        messages: What memory is shown; ``None`` where the body cannot be read.
        lead: Messages among them that are no element of the body's list.
        conversation_id: That the body itself names.
    """

    layout: Layout = field(default_factory=Layout)
    model: str | None = None
    messages: Sequence[Message] | None = None
    lead: int = 0
    conversation_id: str | None = None


UNREAD = Reading()


class Form(Protocol):
    """A form of chat request."""

    interface: str
    """Its name in metrics."""
    path: str
    """Behind the upstream's URL."""

    async def read(self, body: bytes) -> Reading:
        """What memory needs of a body. Raises nothing; what cannot be read is passed on unread."""
        ...

    def insert(self, body: bytes, reading: Reading, message: Message, at: int) -> Edit | None:
        """How a message comes into the body, so that it is number `at` of those memory sees; ``None`` if it cannot."""
        ...


class _Chat:
    """Chat completions."""

    interface = "chat"
    path = "/chat/completions"
    _wanted = frozenset({"model", "messages"})

    async def read(self, body: bytes) -> Reading:
        """See `Form.read`."""
        layout = await laid_out(body, self._wanted)
        if layout is None:
            return UNREAD
        messages = None
        if "messages" in layout.objects:
            messages = await read_objects(body, layout.elements["messages"])
        return Reading(
            layout, read_text(body, layout.members.get("model")), None if messages is None else view(messages)
        )

    def insert(self, body: bytes, reading: Reading, message: Message, at: int) -> Edit | None:
        """See `Form.insert`."""
        return _into_list(reading.layout, "messages", written(message), at)


class _Responses:
    """The Responses API.

    What the instructions hold is not kept with a response, unlike its input, so that the memories of one turn do not
    pile up in those that follow with ``previous_response_id``. So that is where memories of a system or developer
    message go. A message of the user's role, and one beside a stored prompt, which has instructions of its own, goes
    into the input.
    """

    interface = "responses"
    path = "/responses"
    _wanted = frozenset({"model", "input", "instructions", "prompt", "conversation"})

    async def read(self, body: bytes) -> Reading:
        """See `Form.read`."""
        layout = await laid_out(body, self._wanted)
        if layout is None:
            return UNREAD
        messages = await self._input(body, layout)
        instructions = read_text(body, layout.members.get("instructions"))
        lead = 0
        if messages is not None and instructions:
            messages, lead = [{"role": "system", "content": instructions}, *messages], 1
        model = read_text(body, layout.members.get("model"))
        shown = None if messages is None else view(messages)
        return Reading(layout, model, shown, lead, self._conversation(body, layout))

    def insert(self, body: bytes, reading: Reading, message: Message, at: int) -> Edit | None:
        """See `Form.insert`."""
        layout = reading.layout
        if message["role"] == "user" or _is_given(body, layout, "prompt"):
            return self._into_input(body, layout, written(message), max(at - reading.lead, 0))
        block = written(message["content"])
        instructions = layout.members.get("instructions")
        if instructions is None:
            tail = b"" if layout.empty else b","
            return layout.start, layout.start, b'"instructions":' + block + tail
        start, end = instructions
        if body[start:end] == b"null":
            return start, end, block
        if body[start : start + 1] != b'"':
            return None
        separator = b"\\n\\n" if end - start > 2 else b""
        return end - 1, end, separator + block[1:]

    def _into_input(self, body: bytes, layout: Layout, item: bytes, at: int) -> Edit | None:
        span = layout.members.get("input")
        if span is None or body[span[0] : span[0] + 1] != b'"':
            return _into_list(layout, "input", item, at)
        start, end = span
        return start, end, b"".join((b"[", item, b',{"role":"user","content":', body[start:end], b"}]"))

    async def _input(self, body: bytes, layout: Layout) -> list[Message] | None:
        text = read_text(body, layout.members.get("input"))
        if text is not None:
            return [{"role": "user", "content": text}]
        if "input" not in layout.objects:
            return None
        items = await read_objects(body, layout.elements["input"])
        return None if items is None else [_as_message(item) for item in items]

    @staticmethod
    def _conversation(body: bytes, layout: Layout) -> str | None:
        span = layout.members.get("conversation")
        if span is None:
            return None
        value = read_object(body, span)
        named = read_text(body, span) if value is None else value.get("id")
        return named if isinstance(named, str) and named else None


CHAT: Form = _Chat()
RESPONSES: Form = _Responses()


def _as_message(item: Message) -> Message:
    """An item of the input as a chat message; what is no message has no text."""
    kind = item.get("type", "message")
    if kind == "message":
        return item
    return {"role": "assistant", "tool_calls": [{}]} if kind in CLIENT_CALLS else {"role": "tool"}


def _is_given(body: bytes, layout: Layout, name: str) -> bool:
    span = layout.members.get(name)
    return span is not None and body[span[0] : span[1]] != b"null"


def _into_list(layout: Layout, name: str, element: bytes, at: int) -> Edit | None:
    """A further element in a list, as number `at` of it."""
    elements = layout.elements.get(name)
    if elements is None or at > len(elements):
        return None
    if at:
        place = elements[at - 1][1]
        return place, place, b"," + element
    place = elements[0][0] if elements else layout.members[name][0] + 1
    return place, place, element + (b"," if elements else b"")
