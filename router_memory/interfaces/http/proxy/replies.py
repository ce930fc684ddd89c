"""Collects the text of a reply beside the stream in which it goes to the client."""

from __future__ import annotations

from typing import Any, Protocol

from router_memory.interfaces.http.proxy.events import EventLines
from router_memory.interfaces.http.proxy.forms import CLIENT_CALLS, Message
from router_memory.interfaces.http.proxy.values import laid_out, read_object, read_objects, read_value

__all__ = ["Collector", "collector_for"]

MOST_BYTES = 8_388_608
"""Longest reply in one piece that is read."""


class Collector(Protocol):
    """Sees a reply go by.

    Attributes:
        complete: Whether the reply has ended, although the connection goes on.
    """

    complete: bool

    def feed(self, chunk: bytes) -> None:
        """Takes the next part. Raises nothing."""
        ...

    async def reply(self) -> Message | None:
        """The assistant's message, once all parts were seen; ``None`` where there is none to be read."""
        ...


def collector_for(interface: str, content_type: bytes, *, length: int | None, most_text: int) -> Collector | None:
    """What reads a reply of this type; ``None`` where nothing does.

    Args:
        interface: ``chat`` or ``responses``.
        length: Of the body in bytes, where the upstream says it.
        most_text: Characters worth keeping; the rest is cut off.
    """
    kind = content_type.split(b";")[0].strip().lower()
    if kind == b"text/event-stream":
        return _Stream(_ChatText(most_text) if interface == "chat" else _ResponsesText(most_text))
    if kind == b"application/json" and (length is None or length <= MOST_BYTES):
        return _Document(interface, length)
    return None


class _Document:
    """A reply in one piece."""

    def __init__(self, interface: str, length: int | None) -> None:
        self.complete = False
        self._interface = interface
        self._length = length
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """See `Collector.feed`."""
        self._size += len(chunk)
        if self._size <= MOST_BYTES:
            self._parts.append(chunk)
        self.complete = self._size == self._length

    async def reply(self) -> Message | None:
        """See `Collector.reply`."""
        if self._size > MOST_BYTES:
            return None
        body = b"".join(self._parts)
        name = "choices" if self._interface == "chat" else "output"
        layout = await laid_out(body, frozenset({name}))
        if layout is None or name not in layout.objects:
            return None
        elements = layout.elements[name]
        if self._interface == "responses":
            return _of_output(await read_objects(body, elements) or [])
        for element in elements:
            choice = read_object(body, element) or {}
            message = choice.get("message")
            if choice.get("index", 0) == 0 and isinstance(message, dict):
                return message
        return None


class _Text:
    """What a stream's events add up to.

    Args:
        most: Characters that are kept, and what the last part has beyond them.
    """

    def __init__(self, most: int) -> None:
        self.calls = False
        self.failed = False
        self._most = most
        self._parts: list[str] = []
        self._size = 0

    def message(self) -> Message | None:
        """The assistant's message, if the stream told of one that did not fail."""
        if self.failed:
            return None
        content = "".join(self._parts)
        return {"role": "assistant", "content": content, "tool_calls": [{}] if self.calls else None}

    def _add(self, text: object) -> None:
        if isinstance(text, str) and self._size < self._most:
            self._parts.append(text)
            self._size += len(text)


class _ChatText(_Text):
    """Chunks of a chat completion; the first choice counts."""

    def add(self, event: Any) -> bool:
        """Takes an event's object. True if it is the last one."""
        if not isinstance(event, dict):
            return False
        if event.get("error"):
            self.failed = True
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta") if isinstance(choice, dict) and choice.get("index", 0) == 0 else None
            if isinstance(delta, dict):
                self._add(delta.get("content"))
                if delta.get("tool_calls") or delta.get("function_call"):
                    self.calls = True
        return False


class _ResponsesText(_Text):
    """Events of the Responses API."""

    def add(self, event: Any) -> bool:
        """Takes an event's object. True if it is the last one."""
        if not isinstance(event, dict):
            return False
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self._add(event.get("delta"))
        elif kind in ("response.failed", "error"):
            self.failed = True
        elif kind in ("response.completed", "response.incomplete"):
            self._take(event.get("response"))
            return True
        return False

    def _take(self, response: object) -> None:
        """The response as a whole, which the last event repeats."""
        output = response.get("output") if isinstance(response, dict) else None
        if not isinstance(output, list):
            return
        message = _of_output([item for item in output if isinstance(item, dict)])
        self.calls = bool(message.get("tool_calls"))
        if not self._parts:
            self._add(message.get("content"))


class _Stream:
    """A reply in server-sent events."""

    def __init__(self, text: _ChatText | _ResponsesText) -> None:
        self.complete = False
        self._lines = EventLines()
        self._text = text

    def feed(self, chunk: bytes) -> None:
        """See `Collector.feed`."""
        for data in self._lines.feed(chunk):
            if data == b"[DONE]":
                self.complete = True
                return
            if self._text.add(read_value(data)):
                self.complete = True

    async def reply(self) -> Message | None:
        """See `Collector.reply`."""
        return None if self._lines.lost else self._text.message()


def _of_output(items: list[dict[str, Any]]) -> Message:
    """The items of a response as one message of the assistant."""
    texts = [
        part["text"]
        for item in items
        if item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict) and part.get("type") == "output_text" and isinstance(part.get("text"), str)
    ]
    calls = any(item.get("type") in CLIENT_CALLS for item in items)
    return {"role": "assistant", "content": "\n".join(texts), "tool_calls": [{}] if calls else None}
