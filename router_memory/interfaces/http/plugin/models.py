"""The bodies of the plugin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict

from router_memory.types import MemoryType, Reason, Status, WriteStatus

__all__ = ["PluginAnswer", "PluginReceipt", "PluginRequest", "PluginResponse"]

Flag = Annotated[bool, Strict()]
Messages = Annotated[
    Any,
    Field(
        description="Chat messages in the OpenAI form; they are never changed. What is not a list of objects goes back "
        "as it came, with the reason `messages_malformed`.",
        json_schema_extra={"type": "array", "items": {"type": "object"}},
    ),
]

_MESSAGES: list[JsonValue] = [{"role": "user", "content": "Book me a flight, please. Which seat do I like?"}]
_INJECTED: JsonValue = {"role": "system", "content": "What is known about the user: …"}
_TICKET = "rm1.eyJ2IjoxLCJ1c2VyIjoi…"


class PluginRequest(BaseModel):
    """A chat request, with the decision the router took for it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"decision": "personalized_route", "messages": _MESSAGES, "explain": False}},
    )

    decision: str | None = Field(
        None,
        description="The route; null for none. Of one that the configuration does not know the global policy applies, "
        "and `explain` says `known: false`.",
    )
    messages: Messages
    headers: dict[str, Any] | list[Any] | None = Field(
        None,
        description="The chat request's HTTP headers, an object or pairs: the opt-out and `:path` are read from them. "
        "The user is not: that is the one this call is made for.",
    )
    model: str | None = Field(None, description="The model the client named; without a decision a passthrough.")
    project: str | None = Field(None, description="Narrows the user's memories; the project header says the same.")
    conversation_id: str | None = Field(None, description="Groups turns; else derived from the first user message.")
    now: datetime | None = Field(None, description="When the request was made; without an offset it is UTC.")
    explain: Flag = Field(False, description="Whether to tell every number behind the outcome.")
    return_messages: Flag = Field(True, description="Whether to send them back; `injected` has all that is new.")


class InjectedMessage(BaseModel):
    """The message that was added."""

    index: int = Field(description="Where it stands in `messages`.")
    message: dict[str, Any]


class PluginMemory(BaseModel):
    """A memory that was injected."""

    id: str
    type: MemoryType
    content: str
    speaker: str | None
    created_at: datetime
    similarity: float
    score: float


class PluginAnswer(BaseModel):
    """What to send on, and what memory did."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "example": {
                "messages": [_INJECTED, *_MESSAGES],
                "injected": {"index": 0, "message": _INJECTED},
                "status": "used",
                "reason": "injected",
                "memories": [
                    {
                        "id": "9f2c4e5a1b7d48c0a6e3f2d1c0b9a877",
                        "type": "semantic",
                        "content": "prefers aisle seats",
                        "speaker": "Ana",
                        "created_at": "2026-03-01T12:00:00Z",
                        "similarity": 0.82,
                        "score": 0.91,
                    }
                ],
                "conversation_id": "0f3a…",
                "ticket": _TICKET,
                "ticket_needs_messages": False,
                "seconds": 0.004,
                "explain": {"decision": "personalized_route", "known": True},
            }
        },
    )

    messages: Any = Field(
        description="What to send on: the request's messages with at most one added; null without `return_messages`."
    )
    injected: InjectedMessage | None
    status: Status
    reason: Reason
    memories: list[PluginMemory] = Field(description="What was injected, best first.")
    conversation_id: str | None
    ticket: str = Field(description="For `POST /v1/plugin/response`, within the hour.")
    ticket_needs_messages: bool = Field(
        description="Whether that call has to send the request's `messages` again: they are too long for a ticket."
    )
    seconds: float = Field(description="What memory took.")
    explain: dict[str, Any] | None


class PluginResponse(BaseModel):
    """The model's reply to a request."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ticket": _TICKET, "reply": "An aisle seat, as always."}}
    )

    ticket: str = Field(description="What `POST /v1/plugin/request` gave.")
    reply: Any = Field(
        None,
        description="The reply's text, its message or the chat completion; null stores the request's part alone.",
        json_schema_extra={"anyOf": [{"type": "string"}, {"type": "object"}, {"type": "null"}]},
    )
    messages: Messages = Field(None, description="The request's messages, where the ticket needs them.")
    wait: Flag = Field(False, description="Whether to answer when the turn is stored, within half a minute.")


class WriteOutcome(BaseModel):
    """What became of one message."""

    status: WriteStatus
    reason: str
    id: str


class PluginReceipt(BaseModel):
    """What became of a turn."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "example": {"queued": False, "results": [{"status": "stored", "reason": "", "id": "9f2c4e5a…"}]}
        },
    )

    queued: bool = Field(description="Whether it still waits to be written.")
    results: list[WriteOutcome] = Field(description="One for each memory; empty while it is queued.")
