"""What goes to a store to find memories, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from router_memory.types.record import Document, MemoryRecord, MemoryType
from router_memory.types.scope import Scope

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Candidate", "CandidateQuery", "CandidateSet", "LexicalStatistics", "StoreStats"]


@dataclass(frozen=True, slots=True)
class LexicalStatistics:
    """A user's own lexical statistics, over all of the user's projects.

    Attributes:
        epoch: Opaque random token of the user's data; another one after every write. Empty when the
            user has no data.
        documents: Number of memories.
        length_sum: Sum of their lengths in terms.
        frequency: For each stem asked for, how many memories hold it; absent means 0.
    """

    epoch: str
    documents: int
    length_sum: int
    frequency: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateQuery:
    """Which memories to hand to the ranking.

    Attributes:
        scope: Whose memories.
        vector: float32 of shape (dimension,), unit norm; ``None`` leaves the dense channel out.
        stems: Memories that hold any of these stems are candidates; empty leaves the lexical channel out.
        dense_limit: Number of nearest memories, ≥ 1.
        lexical_limit: Most memories the lexical channel may find, ≥ 1, those that the dense channel finds too
            among them; nearest first past it.
        types: Only these; empty means all.
    """

    scope: Scope
    vector: NDArray[np.float32] | None
    stems: tuple[str, ...] = ()
    dense_limit: int = 50
    lexical_limit: int = 400
    types: frozenset[MemoryType] = frozenset()


class Candidate(NamedTuple):
    """A memory that may be relevant, with what ranking needs to know of it.

    A tuple, which is made in a third of the time that a frozen dataclass takes: a search makes a hundred.

    Attributes:
        record: The memory.
        document: Its stems.
        cosine: Cosine in [-1, 1] of the query to the nearest of its vectors, whichever channel found it;
            NaN without a query vector.
        parts: Number of its vectors, ≥ 1.
    """

    record: MemoryRecord
    document: Document
    cosine: float
    parts: int = 1


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """The union of the dense and the lexical channel, in no particular order.

    Attributes:
        epoch: The user's epoch the candidates belong to.
        candidates: Each memory once.
        exact: False where the dense channel was an approximate search.
        partial: True where the store could not look at everything in time.
    """

    epoch: str
    candidates: tuple[Candidate, ...]
    exact: bool = True
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStats:
    """What a store holds.

    Attributes:
        backend: Its name.
        location: File or address.
        memories, users: Totals.
        bytes: Size on disk or in the server.
        fingerprint: Of the embedder the data were written with.
        dimension: Of the vectors.
        details: Backend-specific numbers and states, JSON-compatible.
    """

    backend: str
    location: str
    memories: int
    users: int
    bytes: int
    fingerprint: str
    dimension: int
    details: Mapping[str, object]
