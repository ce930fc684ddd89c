"""Evaluation data: one conversation a line, each the memory of one user."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from router_memory.errors import InvalidRequest
from router_memory.types import Turn

__all__ = ["Conversation", "Question", "Unit", "load"]


Raw = dict[str, Any]
"""An object of the data; what is missing is noticed where it is used."""


class Unit(StrEnum):
    """What becomes one memory.

    Attributes:
        MESSAGE: Each message, as the plugin does it.
        PAIR: Two messages that follow each other, such as question and answer; each message stands in one.
        WINDOW: Each message between those before and behind it.
    """

    MESSAGE = "message"
    PAIR = "pair"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the ids of the messages that answer it; `answerable` is false where none does."""

    text: str
    evidence: frozenset[str]
    category: str
    answerable: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation.

    Attributes:
        sessions: Conversation id -> turns, with `Turn.position` counted within the session.
        message_ids: (conversation id, position) -> ids of the data's messages that this memory is of.
        questions: Their evidence holds stored messages alone.
    """

    id: str
    source: str
    sessions: dict[str, list[Turn]]
    message_ids: dict[tuple[str, int], tuple[str, ...]]
    questions: list[Question]


def load(path: Path, *, roles: frozenset[str] | None = None, unit: Unit = Unit.MESSAGE) -> Iterator[Conversation]:
    """Reads a file in the JSONL form.

    Args:
        roles: Only messages of these roles are stored, and count as evidence; ``None`` for all.
        unit: What becomes one memory.

    Raises:
        InvalidRequest: A line is something else.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line.strip():
            try:
                yield _conversation(json.loads(line), roles, unit)
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidRequest(
                    f"{path}, line {number}: no conversation in the form of docs/cli.md: {error!r}"
                ) from error


def _conversation(raw: Raw, roles: frozenset[str] | None, unit: Unit) -> Conversation:
    by_session: dict[str, list[Raw]] = {}
    for message in raw["messages"]:
        if roles is None or message["role"] in roles:
            by_session.setdefault(f"{raw['id']}/s{message['session']}", []).append(message)
    sessions: dict[str, list[Turn]] = {}
    ids: dict[tuple[str, int], tuple[str, ...]] = {}
    for session, said in by_session.items():
        turns, seen = sessions.setdefault(session, []), Counter[tuple[str, str]]()
        for memory in _UNITS[unit](said):
            key = (memory.role, memory.content)
            turns.append(
                Turn(
                    role=memory.role,
                    content=memory.content,
                    speaker=memory.speaker,
                    position=len(turns),
                    occurrence=seen[key],
                    created_at=datetime.fromisoformat(memory.created_at),
                )
            )
            seen[key] += 1
            ids[session, turns[-1].position] = memory.ids
    stored = frozenset(id_ for of_memory in ids.values() for id_ in of_memory)
    questions = [
        Question(q["question"], frozenset(q["evidence"]) & stored, q["category"], q["answerable"])
        for q in raw["questions"]
    ]
    return Conversation(str(raw["id"]), str(raw["source"]), sessions, ids, questions)


@dataclass(frozen=True, slots=True)
class _Memory:
    """What one memory is made of; who said it and when is the first message's, or the one's in the middle."""

    ids: tuple[str, ...]
    role: str
    speaker: str
    created_at: str
    content: str

    @classmethod
    def of(cls, one: Raw, *, ids: Sequence[str], texts: Sequence[str]) -> _Memory:
        return cls(tuple(ids), one["role"], one["speaker"], one["created_at"], "\n".join(texts))


def _messages(said: Sequence[Raw]) -> Iterator[_Memory]:
    for one in said:
        yield _Memory.of(one, ids=[one["id"]], texts=[one["content"]])


def _pairs(said: Sequence[Raw]) -> Iterator[_Memory]:
    for place in range(0, len(said), 2):
        both = said[place : place + 2]
        texts = [f"{one['speaker']}: {one['content']}" for one in both]
        yield _Memory.of(both[0], ids=[one["id"] for one in both], texts=texts)


def _windows(said: Sequence[Raw]) -> Iterator[_Memory]:
    for place, one in enumerate(said):
        around = said[max(place - 1, 0) : place + 2]
        yield _Memory.of(one, ids=[one["id"]], texts=[each["content"] for each in around])


_UNITS: Mapping[Unit, Callable[[Sequence[Raw]], Iterator[_Memory]]] = {
    Unit.MESSAGE: _messages,
    Unit.PAIR: _pairs,
    Unit.WINDOW: _windows,
}
