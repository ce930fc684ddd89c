"""Hand-made candidates of one question, and the evidence on them."""

from __future__ import annotations

from datetime import UTC, datetime

from router_memory.ranking import Evidence, document, read, retrieval_of
from router_memory.types import Candidate, CandidateSet, LexicalStatistics, MemoryRecord, Scope

__all__ = ["candidate", "evidence"]


def candidate(
    content: str,
    cosine: float = 0.3,
    *,
    speaker: str | None = "user",
    conversation: str = "c",
    position: int = 0,
    month: int = 1,
    day: int = 1,
    parts: int = 1,
) -> Candidate:
    at = datetime(2026, month, day, tzinfo=UTC)
    record = MemoryRecord(
        id=content,
        scope=Scope("u"),
        content=content,
        role=speaker if speaker in {"user", "assistant"} else None,
        speaker=speaker,
        conversation_id=conversation,
        position=position,
        created_at=at,
        updated_at=at,
    )
    return Candidate(record=record, document=document(content, speaker), cosine=cosine, parts=parts)


def evidence(question: str, *candidates: Candidate, documents: int = 100) -> Evidence:
    frequency: dict[str, int] = {}
    for one in candidates:
        for stem in one.document.stems:
            frequency[stem] = frequency.get(stem, 0) + 1
    length = sum(one.document.length for one in candidates)
    statistics = LexicalStatistics("e", documents, length * documents // max(len(candidates), 1), frequency)
    asked = read(question)
    found = CandidateSet("e", candidates)
    return Evidence(retrieval_of(asked, asked.names(statistics), statistics, found))
