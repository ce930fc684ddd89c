"""Tickets: what a reply needs to know of its request, kept by the router in between, so that any worker can take it.

A ticket is bound to the user it was given to and to a time, and carries the turns that the request adds to memory.
Where these are long it carries none, and the reply's call brings the request's messages again. Its signature tells a
ticket that was cut, mixed up or made up. It is not what keeps users apart: that is the credential of the call that
brings it.
Pure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b, scrypt
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router_memory.errors import InvalidRequest
from router_memory.pipeline.cleaning import strip_thinking
from router_memory.pipeline.messages import reply_message, text_of
from router_memory.storage import from_microseconds, to_microseconds
from router_memory.types import Explain, Message, Outcome, Reason, Scope, Status, Turn, WriteIntent, check_id

__all__ = ["MAX_TICKET_CHARS", "TICKET_SECONDS", "Ticket", "key_of", "read", "write"]

TICKET_SECONDS = 3600
"""How long a ticket is good for: longer than any reply takes."""

MAX_CARRIED_BYTES = 64 * 1024
"""Most that a ticket carries; what is past it has to be sent again."""

MAX_TICKET_CHARS = 2 * MAX_CARRIED_BYTES
"""Longest ticket that is read."""

_PREFIX = "rm1."
_TAG_BYTES = 32
_TEXT_BYTES = 8
_MAX_MESSAGES = 100_000
_EARLIEST = to_microseconds(datetime.min.replace(tzinfo=UTC))
_LATEST = to_microseconds(datetime.max.replace(tzinfo=UTC))
_SALT = b"router-memory ticket"
_COST, _BLOCK = 1 << 14, 8

_INVALID = "the ticket is not one that this user was given within the hour"


class _Said(BaseModel):
    """One turn, see `Turn`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: str
    content: str
    speaker: str | None
    position: Annotated[int, Field(ge=0, le=_MAX_MESSAGES)]
    occurrence: Annotated[int, Field(ge=0, le=_MAX_MESSAGES)]


class _Carried(BaseModel):
    """What does not fit every ticket: the new turns, the number of messages, and digests of the replies among them."""

    model_config = ConfigDict(extra="forbid", strict=True)

    turns: list[_Said]
    count: Annotated[int, Field(ge=0, le=_MAX_MESSAGES)]
    replies: list[str]


class _Payload(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    user: str
    project: str | None
    conversation: str | None
    refused: Reason | None
    made: Annotated[int, Field(ge=_EARLIEST, le=_LATEST)]
    expires: int
    carried: _Carried | None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it was read.

    Attributes:
        scope: Whose request it was.
        needs_messages: Whether the request's messages are to be brought again.
    """

    scope: Scope
    needs_messages: bool
    _payload: _Payload

    @property
    def now(self) -> datetime:
        """When the request was made."""
        return from_microseconds(self._payload.made)

    def outcome(self, reply: object, *, messages: Sequence[Message], turns: Sequence[Turn]) -> Outcome:
        """The outcome of the request as far as `on_response` looks at it.

        Args:
            reply: The model's.
            messages, turns: The request's messages and what is new in them, where the ticket needs them.
        """
        payload, carried = self._payload, self._payload.carried
        if payload.refused is not None:
            intent = WriteIntent(payload.refused)
        elif carried is None:
            intent = WriteIntent(None, tuple(turns), messages, self.now)
        else:
            intent = WriteIntent(None, self._turns(carried), _stand_ins(carried, reply), self.now)
        return Outcome(
            messages=(),
            memories=(),
            status=Status.IGNORED,
            reason=Reason.PASSTHROUGH,
            explain=Explain(decision=None, known=False, policy={}),
            scope=self.scope,
            conversation_id=payload.conversation,
            intent=intent,
        )

    def _turns(self, carried: _Carried) -> tuple[Turn, ...]:
        return tuple(
            Turn(
                role=said.role,
                content=said.content,
                speaker=said.speaker,
                position=said.position,
                occurrence=said.occurrence,
                created_at=self.now,
            )
            for said in carried.turns
        )


def key_of(secret: str) -> bytes:
    """The key that signs, from a secret that all workers know: in some 50 ms, so that no ticket helps to guess it.

    Args:
        secret: Of the configuration; empty where there is none. Tickets can be made up then, by those who may store the
            same memories anyway.
    """
    return scrypt(secret.encode(), salt=_SALT, n=_COST, r=_BLOCK, p=1, dklen=_TAG_BYTES)


def write(key: bytes, scope: Scope, outcome: Outcome, *, now: float) -> tuple[str, bool]:
    """The ticket of an outcome, and whether it needs the messages again.

    Args:
        key: See `key_of`.
        scope: Whose request it is.
        outcome: What `on_request` gave.
        now: Seconds since 1970.
    """
    intent = outcome.intent
    made = 0 if intent.now is None else to_microseconds(intent.now)
    fields: dict[str, Any] = {
        "user": scope.user_digest,
        "project": scope.project,
        "conversation": outcome.conversation_id,
        "refused": intent.refused,
        "made": made,
        "expires": int(now) + TICKET_SECONDS,
        "carried": None if intent.refused is not None else _carried(intent),
    }
    payload = orjson.dumps(fields)
    carries = len(payload) <= MAX_CARRIED_BYTES and len(intent.messages) <= _MAX_MESSAGES
    if not carries:
        payload = orjson.dumps({**fields, "carried": None})
    return _PREFIX + _encoded(payload + _tag(key, payload)), not carries


def read(key: bytes, text: str, scope: Scope, *, now: float) -> Ticket:
    """A ticket that this user was given.

    Args:
        key: See `key_of`.
        text: The ticket.
        scope: The user of the call that brings it; the project is the ticket's.
        now: Seconds since 1970.

    Raises:
        InvalidRequest: It is none, one of another user, too old, or not whole; which of these is not told.
    """
    payload = _opened(key, text)
    if payload is None or payload.expires < now or not _is_same(payload.user, scope.user_digest):
        raise InvalidRequest(_INVALID, field="ticket")
    owner = Scope(scope.user_id, payload.project)
    if payload.conversation is not None:
        check_id(payload.conversation, "ticket")
    return Ticket(owner, payload.refused is None and payload.carried is None, payload)


def _is_same(named: str, digest: str) -> bool:
    return hmac.compare_digest(named.encode(), digest.encode())  # of bytes: a made-up ticket may name anything


def _opened(key: bytes, text: str) -> _Payload | None:
    if not text.startswith(_PREFIX) or len(text) > MAX_TICKET_CHARS or not text.isascii():
        return None
    body = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    if _encoded(raw) != body:  # there are several ways to write the last character
        return None
    payload, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(key, payload)):
        return None
    try:
        return _Payload.model_validate_json(payload)
    except ValidationError:  # of another version, or made up where there is no secret
        return None


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _tag(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")


def _carried(intent: WriteIntent) -> dict[str, Any]:
    turns = [
        {
            "role": turn.role,
            "content": turn.content,
            "speaker": turn.speaker,
            "position": turn.position,
            "occurrence": turn.occurrence,
        }
        for turn in intent.turns
    ]
    replies = [_digest(message) for message in intent.messages if message.get("role") == "assistant"]
    return {"turns": turns, "count": len(intent.messages), "replies": replies}


def _digest(message: Message) -> str:
    text = strip_thinking(text_of(message))
    return blake2b(text.encode(), digest_size=_TEXT_BYTES).hexdigest()


def _stand_ins(carried: _Carried, reply: object) -> Sequence[Message]:
    """As many messages as the request had, with those replies that are the same as this one.

    More `on_response` does not look at: the number is the reply's position, and equal replies before it are counted.
    """
    message = reply_message(reply)
    same = 0
    if message is not None:
        same = carried.replies.count(_digest(message))
    again: Message = {"role": "assistant", "content": None if message is None else message.get("content")}
    return [again] * same + [{}] * max(carried.count - same, 0)
