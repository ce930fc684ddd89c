"""The vocabulary: frozen dataclasses and enums that every layer shares. Imports nothing heavy."""

from router_memory.types.outcome import (
    Cut,
    Dropped,
    Explain,
    Hit,
    Message,
    Outcome,
    Reason,
    Recollection,
    Status,
    WriteResult,
)
from router_memory.types.policy import (
    CutoffRule,
    DecisionPolicy,
    InjectPolicy,
    RankingMode,
    RecallPolicy,
    ReflectionAlgorithm,
    ReflectionPolicy,
    WritePolicy,
)
from router_memory.types.query import Candidate, CandidateQuery, CandidateSet, LexicalStatistics, StoreStats
from router_memory.types.record import Document, MemoryRecord, MemoryType, MemoryWrite, Page, Turn, WriteStatus
from router_memory.types.scope import MAX_ID_BYTES, Scope, conversation_key, record_id

__all__ = [
    "MAX_ID_BYTES",
    "Candidate",
    "CandidateQuery",
    "CandidateSet",
    "Cut",
    "CutoffRule",
    "DecisionPolicy",
    "Document",
    "Dropped",
    "Explain",
    "Hit",
    "InjectPolicy",
    "LexicalStatistics",
    "MemoryRecord",
    "MemoryType",
    "MemoryWrite",
    "Message",
    "Outcome",
    "Page",
    "RankingMode",
    "Reason",
    "RecallPolicy",
    "Recollection",
    "ReflectionAlgorithm",
    "ReflectionPolicy",
    "Scope",
    "Status",
    "StoreStats",
    "Turn",
    "WritePolicy",
    "WriteResult",
    "WriteStatus",
    "conversation_key",
    "record_id",
]
