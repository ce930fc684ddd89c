"""What of very long chats memory is shown, so that reading them keeps nobody else waiting. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["MOST_TEXT", "view"]

Message = Mapping[str, Any]

MOST_TEXT = 524_288
"""Characters of all messages together; the latest ones count."""

HEAD, TAIL = 262_144, 4_096
"""Characters of one text that are kept at its two ends: the start is what is stored of a message by default, and both
are what a long question is searched by."""


def view(messages: Sequence[Message]) -> list[Message]:
    """The same number of messages in the same order; where there is more text than memory is shown, with less of it.

    The first user message, which a conversation is known by, keeps its text; the earliest others lose theirs.
    """
    sizes = [_size(message) for message in messages]
    if sum(sizes) <= HEAD:
        return list(messages)
    shown = [_cut(message) if size > HEAD else message for message, size in zip(messages, sizes, strict=True)]
    left = MOST_TEXT
    first = next((index for index, message in enumerate(messages) if message.get("role") == "user"), None)
    for index in range(len(shown) - 1, -1, -1):
        left -= min(sizes[index], HEAD + TAIL)
        if left < 0 and index != first:
            shown[index] = {"role": shown[index].get("role")}
    return shown


def _size(message: Message) -> int:
    content = message.get("content")
    if isinstance(content, str):
        return len(content)
    return sum(len(part["text"]) for part in content if _has_text(part)) if isinstance(content, list) else 0


def _cut(message: Message) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return {**message, "content": _ends(content)}
    texts = "\n".join(part["text"] for part in content if _has_text(part))
    return {**message, "content": _ends(texts)}


def _ends(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _has_text(part: object) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)
