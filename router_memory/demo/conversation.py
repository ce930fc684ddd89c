"""What the demonstration replays: conversations read from a file, in the project's form or OpenAI's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from router_memory.demo.lines import Block, blocks
from router_memory.pipeline.messages import text_of
from router_memory.types import Message

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Conversation", "Question", "Said", "read_conversations"]

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
_UNTIMED_STEP = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation.

    Attributes:
        id: As in the file; ``#<index>`` where it has none.
        message: What is sent on, in the OpenAI form.
        text: Its text.
        session: Messages of one session share a conversation id.
        position: Index among the messages of its session.
        created_at: Aware; messages without a time are a minute apart and end at the reading's time.
    """

    id: str
    message: Message
    text: str
    session: str
    position: int
    created_at: datetime

    @property
    def role(self) -> str:
        """The message's role."""
        return str(self.message["role"])


@dataclass(frozen=True, slots=True)
class Question:
    """A question to ask when everything is stored.

    Attributes:
        evidence: Ids of the messages that answer it; where it has no answer, of those it seems to be about.
        category: Free text of the file, e.g. ``preference_change``.
        answerable: ``None`` where the file does not say.
    """

    text: str
    evidence: tuple[str, ...] = ()
    category: str = ""
    answerable: bool | None = None

    @property
    def wanted(self) -> frozenset[str]:
        """Ids of the messages that should be injected; none where the question has no answer."""
        return frozenset() if self.answerable is False else frozenset(self.evidence)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything one user said and was told.

    Attributes:
        user: The user id.
    """

    user: str
    messages: tuple[Said, ...]
    questions: tuple[Question, ...] = ()

    def conversation_id(self, session: str) -> str:
        """The id under which a session is remembered."""
        return f"{self.user}/s{session}"


def read_conversations(path: Path, *, now: datetime | None = None) -> tuple[Conversation, ...]:
    """The conversations of a file.

    Args:
        path: JSON Lines with one conversation (`id`, `messages`, optional `questions`) a line, or chat
            messages in the OpenAI form: a JSON list, an object with ``messages``, or JSON Lines of either.
        now: The time messages without one end at; ``None`` takes the clock's.

    Raises:
        InvalidRequest: The file cannot be read or is malformed; the message names the line and what is wrong.
    """
    end = now or datetime.now(UTC)
    found: dict[str, Conversation] = {}
    for block in blocks(path):
        conversation = _conversation(block, end, default_user=f"user-{len(found) + 1}")
        if conversation.user in found:
            raise block.problem(f"the id {conversation.user!r} stands on an earlier line too")
        found[conversation.user] = conversation
    return tuple(found.values())


def _conversation(block: Block, end: datetime, *, default_user: str) -> Conversation:
    document = block.document
    user = document.get("id", default_user)
    if not isinstance(user, str) or not user.strip():
        raise block.problem(f"id must be a string that is not blank, not {_kind(user)}")
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise block.problem(f"messages must be a list that is not empty, not {_kind(messages)}")
    said = tuple(_said(block, messages, end))
    if not any(one.role == "user" and one.text for one in said):
        raise block.problem("no message of role 'user' has text")
    ids = {one.id for one in said}
    if len(ids) < len(said):
        raise block.problem("two messages have the same id")
    return Conversation(user, said, tuple(_questions(block, document.get("questions", []), ids)))


def _said(block: Block, messages: Sequence[object], end: datetime) -> Iterator[Said]:
    sizes: dict[str, int] = {}
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, Mapping):
            raise block.problem(f"must be an object, not {_kind(message)}", where, index)
        session = message.get("session", 1)
        if isinstance(session, bool) or not isinstance(session, int | str):
            raise block.problem(f"session must be a number or a string, not {_kind(session)}", where, index)
        sent = _sent(block, message, where, index)
        position = sizes.get(str(session), 0)
        sizes[str(session)] = position + 1
        yield Said(
            id=str(message.get("id", f"#{index}")),
            message=sent,
            text=text_of(sent),
            session=str(session),
            position=position,
            created_at=_time(block, message, where, index) or end - _UNTIMED_STEP * (len(messages) - index),
        )


def _sent(block: Block, message: Mapping[str, Any], where: str, index: int) -> Message:
    """The message to send on: as it is in OpenAI's form, with the speaker as `name` in the project's."""
    role = message.get("role")
    if role not in _ROLES:
        raise block.problem(f"role must be one of {', '.join(_ROLES)}, not {role!r}", where, index)
    content = message.get("content")
    optional = role == "assistant" and content is None
    if not optional and not isinstance(content, str | list):
        raise block.problem(f"content must be a string or a list of parts, not {_kind(content)}", where, index)
    speaker = message.get("speaker")
    if speaker is None:
        return {key: value for key, value in message.items() if key not in ("id", "session", "created_at")}
    if not isinstance(speaker, str):
        raise block.problem(f"speaker must be a string, not {_kind(speaker)}", where, index)
    named = {} if speaker in ("", role) else {"name": speaker}
    return {"role": role, "content": content, **named}


def _time(block: Block, message: Mapping[str, Any], where: str, index: int) -> datetime | None:
    value = message.get("created_at")
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise block.problem(f"created_at must be a time in ISO 8601, not {value!r}", where, index) from None


def _questions(block: Block, questions: object, ids: set[str]) -> Iterator[Question]:
    if not isinstance(questions, list):
        raise block.problem(f"questions must be a list, not {_kind(questions)}")
    for index, question in enumerate(questions):
        where = f"questions[{index}]"
        if not isinstance(question, Mapping):
            raise block.problem(f"must be an object, not {_kind(question)}", where)
        text = question.get("question")
        if not isinstance(text, str) or not text.strip():
            raise block.problem(f"question must be a string that is not blank, not {_kind(text)}", where)
        evidence = question.get("evidence", [])
        if not isinstance(evidence, list) or not all(isinstance(one, str) for one in evidence):
            raise block.problem("evidence must be a list of message ids", where)
        unknown = [one for one in evidence if one not in ids]
        if unknown:
            raise block.problem(f"evidence names the message {unknown[0]!r}, which is not there", where)
        answerable = question.get("answerable")
        if answerable is not None and not isinstance(answerable, bool):
            raise block.problem(f"answerable must be true or false, not {answerable!r}", where)
        yield Question(text.strip(), tuple(evidence), str(question.get("category", "")), answerable)


def _kind(value: object) -> str:
    """What a value is, without showing it."""
    if isinstance(value, str | list | dict) and not value:
        return "an empty one"
    names = {
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
