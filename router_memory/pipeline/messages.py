"""Reads chat messages in the OpenAI form without changing or trusting them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from router_memory.pipeline.cleaning import clean, strip_thinking
from router_memory.types import Message, Turn

__all__ = [
    "BLOCK_START",
    "MAX_SPEAKER_CHARS",
    "are_wellformed",
    "first_user_text",
    "last_user_text",
    "new_turns",
    "reply_message",
    "reply_turn",
    "text_of",
]

_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})

BLOCK_START = '<user_memory id="'
"""How a block of injected memories begins. One that comes back in a request is nobody's message."""

MAX_SPEAKER_CHARS = 128
"""Longest speaker's name kept of a message, in characters."""


def are_wellformed(messages: object) -> bool:
    """Whether `messages` is a non-string sequence of mappings."""
    return (
        isinstance(messages, Sequence)
        and not isinstance(messages, str | bytes)
        and all(isinstance(message, Mapping) for message in messages)
    )


def text_of(message: Message) -> str:
    """The text of a message: its string content or its text parts, one a line; empty when it has none."""
    content = message.get("content")
    if isinstance(content, str):
        return clean(content)
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        return ""
    return clean("\n".join(_part_texts(content)))


def _part_texts(parts: Sequence[Any]) -> list[str]:
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and str(part.get("type")) in _TEXT_PARTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
    return texts


def first_user_text(messages: Sequence[Message]) -> str:
    """The text of the first user message that has one; empty without any."""
    return next((text for text in map(_user_text, messages) if text), "")


def last_user_text(messages: Sequence[Message]) -> str:
    """The text of the last user message that has one; empty without any."""
    return next((text for text in map(_user_text, reversed(messages)) if text), "")


def _user_text(message: Message) -> str:
    text = text_of(message) if message.get("role") == "user" else ""
    return "" if text.startswith(BLOCK_START) else text


def _is_final_reply(message: Message) -> bool:
    """An assistant message with text that calls no tool: the end of an earlier turn."""
    return message.get("role") == "assistant" and not message.get("tool_calls") and bool(text_of(message))


def new_turns(messages: Sequence[Message], *, roles: frozenset[str], now: datetime, history: bool) -> tuple[Turn, ...]:
    """The messages of a request that are to be remembered.

    Those behind the last finished reply are new. Earlier ones were the matter of their own requests,
    which may have opted out of memory, so they count with `history` alone.

    Args:
        roles: Roles to keep; tool results and instructions are never memories.
        now: When the request was made.
        history: Whether earlier messages are wanted too.
    """
    finished = 0
    if not history:
        finished = max((index + 1 for index, message in enumerate(messages) if _is_final_reply(message)), default=0)
    seen: Counter[tuple[str, str]] = Counter()
    turns = []
    for index, message in enumerate(messages):
        turn = _turn(message, position=index, now=now)
        if turn is None:
            continue
        occurrence = seen[turn.role, turn.content]
        seen[turn.role, turn.content] += 1
        if index >= finished and turn.role in roles:
            turns.append(replace(turn, occurrence=occurrence))
    return tuple(turns)


def reply_message(reply: object) -> Message | None:
    """The assistant's message in what a gateway has in hand; ``None`` where it is nothing of the kind.

    Args:
        reply: The text, a message, or a chat completion, of which the first choice counts.
    """
    if isinstance(reply, str):
        return {"content": reply}
    if not isinstance(reply, Mapping):
        return None
    choices = reply.get("choices")
    if choices is None:
        return reply if "content" in reply or "tool_calls" in reply else None
    first = choices[0] if isinstance(choices, Sequence) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return message if isinstance(message, Mapping) else None


def reply_turn(message: Message, *, earlier: Sequence[Message], now: datetime) -> Turn | None:
    """The model's reply as a turn, without its reasoning; ``None`` when it has no text or calls tools."""
    if message.get("tool_calls") or message.get("role", "assistant") != "assistant":
        return None
    turn = _turn({**message, "role": "assistant"}, position=len(earlier), now=now)
    if turn is None:
        return None
    same = sum(
        1 for other in earlier if other.get("role") == "assistant" and strip_thinking(text_of(other)) == turn.content
    )
    return replace(turn, occurrence=same)


def _turn(message: Message, *, position: int, now: datetime) -> Turn | None:
    role = message.get("role")
    text = text_of(message)
    if role == "assistant":
        text = strip_thinking(text)
    if not isinstance(role, str) or not text or text.startswith(BLOCK_START):
        return None
    name = message.get("name")
    speaker = clean(name)[:MAX_SPEAKER_CHARS] if isinstance(name, str) else ""
    return Turn(role=role, content=text, speaker=speaker or None, position=position, created_at=now)
