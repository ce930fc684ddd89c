"""Evaluation data: one conversation a line, each the memory of one user."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router_memory.types import Turn

__all__ = ["Conversation", "Question", "load"]


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
        message_ids: (conversation id, position) -> message id of the data.
        questions: Their evidence holds stored messages alone.
    """

    id: str
    source: str
    sessions: dict[str, list[Turn]]
    message_ids: dict[tuple[str, int], str]
    questions: list[Question]


def load(path: Path, *, roles: frozenset[str] | None = None) -> Iterator[Conversation]:
    """Reads a file in the JSONL form.

    Args:
        roles: Only messages of these roles are stored, and count as evidence; ``None`` for all.
    """
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield _conversation(json.loads(line), roles)


def _conversation(raw: dict[str, object], roles: frozenset[str] | None) -> Conversation:
    sessions: dict[str, list[Turn]] = {}
    ids: dict[tuple[str, int], str] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for message in raw["messages"]:  # type: ignore[attr-defined]  # validated by use
        if roles is not None and message["role"] not in roles:
            continue
        session = f"{raw['id']}/s{message['session']}"
        turns = sessions.setdefault(session, [])
        key = (session, message["role"], message["content"])
        turns.append(
            Turn(
                role=message["role"],
                content=message["content"],
                speaker=message["speaker"],
                position=len(turns),
                occurrence=seen[key],
                created_at=datetime.fromisoformat(message["created_at"]),
            )
        )
        seen[key] += 1
        ids[session, turns[-1].position] = message["id"]
    stored = frozenset(ids.values())
    questions = [
        Question(q["question"], frozenset(q["evidence"]) & stored, q["category"], q["answerable"])
        for q in raw["questions"]  # type: ignore[attr-defined]  # validated by use
    ]
    return Conversation(str(raw["id"]), str(raw["source"]), sessions, ids, questions)
