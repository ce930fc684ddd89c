"""What the tools give, as structured output."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from router_memory.types import Hit, MemoryRecord

__all__ = ["Forgotten", "Found", "FoundMemory", "Listed", "Memory", "Prompted", "Result"]


class Result(BaseModel):
    """Base of all."""

    def wire(self) -> dict[str, Any]:
        """As JSON has it; what is not known is left out."""
        return self.model_dump(mode="json", exclude_none=True)


class Memory(Result):
    """One memory. Whose it is goes without saying: the caller's."""

    id: str
    content: str
    type: str
    project: str | None = None
    role: Annotated[str | None, Field(description="user or assistant, for a message of a chat.")] = None
    speaker: str | None = None
    conversation_id: str | None = None
    importance: Annotated[float, Field(description="From 0 to 1.")]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, record: MemoryRecord, **more: Any) -> Self:
        """From a record."""
        return cls(
            id=record.id,
            content=record.content,
            type=record.type.value,
            project=record.scope.project,
            role=record.role,
            speaker=record.speaker,
            conversation_id=record.conversation_id,
            importance=record.importance,
            created_at=record.created_at,
            updated_at=record.updated_at,
            **more,
        )


class FoundMemory(Memory):
    """A memory that was found."""

    similarity: Annotated[float, Field(description="To the query, from 0 to 1.")]

    @classmethod
    def of_hit(cls, hit: Hit) -> Self:
        """From a hit."""
        return cls.of(hit.record, similarity=round(hit.similarity, 4))


class Found(Result):
    """Of `search_memories`."""

    memories: Annotated[list[FoundMemory], Field(description="Best first.")]
    threshold: Annotated[float, Field(description="Least similarity that was asked of a memory.")]


class Listed(Result):
    """Of `list_memories`."""

    memories: Annotated[list[Memory], Field(description="Newest first.")]
    total: Annotated[int, Field(description="How many there are over all pages.")]
    next_cursor: Annotated[str | None, Field(description="Leads to the next page; missing on the last one.")] = None


class Forgotten(Result):
    """Of `forget_memories`."""

    forgotten: Annotated[int, Field(description="How many were deleted.")]


class Prompted(Result):
    """Of `prompt_with_memories`."""

    messages: Annotated[list[dict[str, Any]], Field(description="To send to a model, in order.")]
    status: Annotated[str, Field(description="`used` where memories were put in.")]
    reason: Annotated[str, Field(description="Why the status is what it is.")]
    memories: Annotated[list[FoundMemory], Field(description="Those put in, best first.")]
