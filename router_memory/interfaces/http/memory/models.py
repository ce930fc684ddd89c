"""The bodies of the memory API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict
from pydantic.config import JsonDict

from router_memory.types import CutoffRule, MemoryRecord, MemoryType, RankingMode

__all__ = [
    "MAX_BATCH",
    "MAX_LIMIT",
    "BatchResult",
    "Deleted",
    "Found",
    "ImportResult",
    "Memory",
    "MemoryChanges",
    "MemoryPage",
    "NewMemories",
    "NewMemory",
    "SearchRequest",
    "memory_of",
]

MAX_BATCH = 100
"""Most memories in one batch."""
MAX_LIMIT = 100
"""Most memories in one answer."""
DEFAULT_LIMIT = 20

_ID = "9f2c4e5a1b7d48c0a6e3f2d1c0b9a877"
# Without nulls: the description leaves them out of examples.
_MEMORY_EXAMPLE: JsonDict = {
    "id": _ID,
    "type": "semantic",
    "content": "prefers aisle seats",
    "user_id": "ana",
    "project": "travel",
    "source": "conversation",
    "role": "user",
    "speaker": "Ana",
    "conversation_id": "c-42",
    "importance": 0.5,
    "access_count": 3,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "accessed_at": "2026-03-02T08:30:00Z",
}

Share = Annotated[float, Strict(), Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Flag = Annotated[bool, Strict()]


class _Body(BaseModel):
    """What a client sends: a field nobody knows is a mistake."""

    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    """What a client gets; only described by these models, since they are made from what was checked already."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Memory(_Answer):
    """One memory."""

    model_config = ConfigDict(json_schema_extra={"example": _MEMORY_EXAMPLE})

    id: str
    type: MemoryType
    content: str
    user_id: str
    project: str | None = Field(description="The project it was written to.")
    source: str | None = Field(description="`conversation` where it was said in one.")
    role: str | None
    speaker: str | None
    conversation_id: str | None
    importance: float = Field(ge=0, le=1)
    access_count: int = Field(description="How often it was injected.")
    created_at: datetime
    updated_at: datetime
    accessed_at: datetime | None


class MemoryPage(_Answer):
    """Memories, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"memories": [_MEMORY_EXAMPLE], "total": 31, "limit": 20, "cursor": "WyI1YmU0…"}}
    )

    memories: list[Memory]
    total: int = Field(description="How many match over all pages; kept with the statistics, not counted anew.")
    limit: int = Field(description="The limit that was applied.")
    cursor: str | None = Field(description="Leads to the next page; null on the last one.")


class NewMemory(_Body):
    """A memory to be stored. The same content and type again, in the same project, is the same memory."""

    model_config = ConfigDict(json_schema_extra={"example": {"content": "prefers aisle seats", "type": "semantic"}})

    content: Text = Field(description="Not blank; at most `write.max_content_bytes` bytes.")
    type: MemoryType = MemoryType.SEMANTIC
    speaker: str | None = Field(None, max_length=128)
    importance: Share = 0.5
    project: str | None = Field(None, description="The project it belongs to; the project header says the same.")


class NewMemories(_Body):
    """Memories to be stored together, all in one project or in none."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"memories": [{"content": "prefers aisle seats"}, {"content": "lives in Bonn"}]}}
    )

    memories: list[NewMemory] = Field(min_length=1, max_length=MAX_BATCH)
    project: str | None = Field(None, description="The project of those that name none.")


class MemoryChanges(_Body):
    """What to change; what is absent or null stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"content": "prefers window seats"}})

    content: Text | None = None
    type: MemoryType | None = None
    importance: Share | None = None


class BatchItem(_Answer):
    """What became of one memory of a batch."""

    status: str = Field(description="`stored`, or `merged` where it was there already.")
    memory: Memory


class BatchResult(_Answer):
    """What became of a batch, in its order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"results": [{"status": "stored", "memory": _MEMORY_EXAMPLE}], "stored": 1, "merged": 0}
        }
    )

    results: list[BatchItem]
    stored: int
    merged: int


class Deleted(_Answer):
    """What was deleted."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"success": True, "message": "1 memory deleted", "deleted": 1}}
    )

    success: bool
    message: str
    deleted: int


class SearchRequest(_Body):
    """What to search for. What is absent is the decision's."""

    model_config = ConfigDict(json_schema_extra={"example": {"query": "which seat?", "limit": 5, "explain": True}})

    query: str = Field(min_length=1, description="Not blank. Of a long one the two ends are searched for.")
    limit: Annotated[int, Strict(), Field(ge=1, le=MAX_LIMIT)] | None = None
    threshold: Share | None = Field(None, description="Least similarity; 0 gives the best `limit`.")
    types: list[MemoryType] = Field(default_factory=list, description="Only these; empty for all.")
    decision: str | None = Field(
        None, description="Whose policy applies, one of the configuration; null for the global one."
    )
    mode: RankingMode | None = Field(None, description="In place of the decision's.")
    cutoff: CutoffRule | None = Field(None, description="In place of the decision's.")
    project: str | None = Field(None, description="Only memories of it; the project header says the same.")
    explain: Flag = Field(False, description="Whether to tell every number behind the result.")


class FoundMemory(_Answer):
    """A memory found."""

    memory: Memory
    similarity: float = Field(description="In [0, 1], the scale thresholds are on.")
    score: float = Field(description="What it was ordered by; comparable within one answer only.")


class Found(_Answer):
    """The memories found, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "results": [{"memory": _MEMORY_EXAMPLE, "similarity": 0.82, "score": 0.91}],
                "threshold": 0.7,
                "cache": "miss",
                "explain": {"cut": {"floor": 0.7, "threshold": 0.7, "rule": "fixed", "why": "…"}, "candidates": 12},
            }
        }
    )

    results: list[FoundMemory]
    threshold: float = Field(description="The threshold that was applied.")
    cache: str = Field(description="Which level of the hot cache answered.")
    explain: dict[str, Any] | None = Field(
        description="What `router_memory.plugin.describe` gives of the search: hits with their signals, the cut-off, "
        "what was left out and why, and the seconds of each stage."
    )


class Refusal(_Answer):
    """A line that was not imported."""

    line: int
    reason: str


class ImportResult(_Answer):
    """What became of an import."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "lines": 2,
                "memories": 1,
                "stored": 1,
                "merged": 0,
                "refused": 1,
                "refusals": [{"line": 2, "reason": "id missing"}],
                "unknown_fields": {"tags": 1},
            }
        }
    )

    lines: int = Field(description="Lines that are not blank.")
    memories: int
    stored: int
    merged: int = Field(description="Those that were there already; nothing of them changed.")
    refused: int
    refusals: list[Refusal] = Field(description="The first 1,000 of them.")
    unknown_fields: dict[str, int] = Field(description="Fields that mean nothing here, and in how many lines.")


def memory_of(record: MemoryRecord) -> dict[str, Any]:
    """A memory in the form of `Memory`."""
    return {
        "id": record.id,
        "type": record.type.value,
        "content": record.content,
        "user_id": record.scope.user_id,
        "project": record.scope.project,
        "source": None if record.conversation_id is None else "conversation",
        "role": record.role,
        "speaker": record.speaker,
        "conversation_id": record.conversation_id,
        "importance": record.importance,
        "access_count": record.access_count,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "accessed_at": record.accessed_at,
    }
