"""What a question asks of the data, and what the data answered: the part of a search that a cache can keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router_memory.types.cache import CacheLevel
from router_memory.types.query import LexicalStatistics
from router_memory.types.record import MemoryRecord, MemoryType
from router_memory.types.scope import Scope

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Columns", "Retrieval", "Retrieved", "SearchQuery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """Everything the candidates of a question depend on, besides the data and the embedder.

    Attributes:
        scope: Whose memories.
        text: What was asked, cleaned and clipped.
        lexical: Whether memories that hold the question's words are candidates beside the nearest ones.
        dense_limit, lexical_limit, types: See `CandidateQuery`.
    """

    scope: Scope
    text: str
    lexical: bool
    dense_limit: int
    lexical_limit: int
    types: frozenset[MemoryType] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What ranking needs to know of n candidates of one question with m stems. Each array has one row a candidate.

    Attributes:
        cosine: To the nearest part, in [-1, 1], 0 without a query vector. float64, shape (n,).
        parts: Number of vectors, ≥ 1. int32, shape (n,).
        length: In terms. int32, shape (n,).
        frequency: How often each stem stands in each memory. int32, shape (n, m).
        conversation: Number of the conversation among these candidates, -1 for none. int32, shape (n,).
        position: Of the message in it. int64, shape (n,).
        speaker: Number of the speaker among these candidates, -1 for none. int32, shape (n,).
        assistant: Whether the assistant said it. bool, shape (n,).
        asking: Whether it ends in a question. bool, shape (n,).
        spoken: Whether somebody whom the question names said it. bool, shape (n,).
        dated: 1 where it was said in the month and year the question names, 2 if also on the day, else 0.
            int8, shape (n,).
        timed: Whether the question asks for a time and the memory tells one. bool, shape (n,).
    """

    cosine: NDArray[np.float64]
    parts: NDArray[np.int32]
    length: NDArray[np.int32]
    frequency: NDArray[np.int32]
    conversation: NDArray[np.int32]
    position: NDArray[np.int64]
    speaker: NDArray[np.int32]
    assistant: NDArray[np.bool_]
    asking: NDArray[np.bool_]
    spoken: NDArray[np.bool_]
    dated: NDArray[np.int8]
    timed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Retrieval:
    """The candidates of one question in one state of the user's data, with all that ranking needs.

    Attributes:
        epoch: Of the state that the statistics belong to.
        text: What was asked.
        query_text: What was embedded, without the names.
        names: The words taken out for being part of a speaker's name in this user's memories.
        stems: What is matched, m of them, in order.
        statistics: The user's own, with the frequency of the stems that any memory holds.
        columns: What ranking looks at.
        records: The candidates, n of them.
        exact, partial: See `CandidateSet`.
        coherent: Whether statistics and candidates are of one state, so that the whole may be kept under `epoch`.
        memo: What later stages derived from it alone, by their own keys.
    """

    epoch: str
    text: str
    query_text: str
    names: frozenset[str]
    stems: tuple[str, ...]
    statistics: LexicalStatistics
    columns: Columns
    records: Sequence[MemoryRecord]
    exact: bool = True
    partial: bool = False
    coherent: bool = True
    memo: dict[object, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How one request came by its candidates.

    Attributes:
        retrieval: They themselves, maybe shared with other requests.
        level: Which level of the cache answered.
        seconds: Wall time by stage.
        starts: When each stage began, on the clock of `time.perf_counter`.
    """

    retrieval: Retrieval
    level: CacheLevel = CacheLevel.OFF
    seconds: Mapping[str, float] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)
