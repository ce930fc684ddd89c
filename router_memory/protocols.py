"""The seams. Pipeline and plugin know backends through these protocols alone.

A protocol exists where two implementations live in the tree or one is the product's and the
other a test double that the contract suite holds to the same behaviour.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from router_memory.types import (
    CandidateQuery,
    CandidateSet,
    Finding,
    LexicalStatistics,
    MemoryChange,
    MemoryRecord,
    MemoryType,
    MemoryWrite,
    Page,
    Scope,
    StoreStats,
    WriteStatus,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "MemoryStore"]


class Embedder(Protocol):
    """Turns texts into unit vectors. Calls from concurrent tasks are batched together.

    A call cancelled before its batch began costs nothing.
    """

    @property
    def dimension(self) -> int:
        """Number of components of a vector. Valid after `identify`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Identifies weights, pooling, prefixes and dimension: ``name/dimension/digest``. Valid after `identify`."""
        ...

    async def identify(self) -> None:
        """Finds the model and takes its fingerprint without loading it.

        Raises:
            EmbeddingError: There is no such model here.
        """
        ...

    async def open(self) -> None:
        """Loads the model and encodes one text, so that the first request finds it warm.

        The first text to embed does the same where nobody called this.

        Raises:
            EmbeddingError: The model cannot be loaded.
        """
        ...

    async def close(self) -> None:
        """Frees the model. Calls under way are finished, later ones raise `EmbeddingError`. Idempotent."""
        ...

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        """The vector of a question: float32 of shape (dimension,), unit norm.

        A text longer than the model reads is embedded in parts and their mean is normalised.

        Raises:
            EmbeddingError: The model failed or is closed.
        """
        ...

    async def embed_passages(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """The vectors of texts to be stored, one array per text: float32 of shape (parts, dimension), unit rows.

        A text longer than the model reads gets one row for each part; nothing is cut off.
        Queries that arrive meanwhile go first.

        Raises:
            EmbeddingError: The model failed or is closed.
        """
        ...

    def backlog_seconds(self) -> float:
        """How long a query that came now would wait before its batch starts, estimated, ≥ 0."""
        ...


class MemoryStore(Protocol):
    """Holds memories, their vectors, their lexical statistics and an epoch per user.

    Every call takes a `Scope` and touches nothing outside it. A scope without a project covers all
    projects of the user; one with a project covers only the memories written to that project.
    Errors are `BackendError`s; arguments are checked before anything is read or written.
    """

    @property
    def name(self) -> str:
        """Name of the backend as in the configuration."""
        ...

    async def open(self) -> None:
        """Opens or creates the store.

        Raises:
            IndexMismatch: The data there were written with another dimension or embedder.
            BackendUnavailable: It cannot be reached.
            BackendRejected: It is corrupt, of a later schema, or not writable.
        """
        ...

    async def close(self) -> None:
        """Releases everything. Idempotent."""
        ...

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """The user's epoch and lexical statistics, with the document frequency of each of `stems`."""
        ...

    async def candidates(self, query: CandidateQuery, *, within: float | None = None) -> CandidateSet:
        """The nearest memories of the query's vector united with those that hold one of its stems.

        Args:
            query: What is looked for.
            within: Seconds after which the answer is of no use, > 0: a store across a network gives up then. ``None``
                leaves it at the store's own timeout.

        Raises:
            BackendTimeout: There was no answer in time.
        """
        ...

    async def add(self, scope: Scope, writes: Sequence[MemoryWrite]) -> list[WriteStatus]:
        """Stores memories, each with its vectors, its share of the statistics and a new epoch in one atomic step.

        Whether the memories of one call appear together is the backend's matter: one that serves others meanwhile
        does not hold them up for a large call.

        Returns:
            For each write, in order, STORED, or MERGED where its id was there already (of which nothing
            changes). When all were merged the epoch stays.

        Raises:
            InvalidRequest: A record belongs to another scope or a vector has the wrong shape; nothing is stored.
            BackendTimeout: Whether the writes took effect is unknown.
            BackendRejected: Refused. What a large call stored before stays; repeating the call is safe.
        """
        ...

    async def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """The memory, or ``None`` when there is none of that id in the scope."""
        ...

    async def contains(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that are stored in the scope."""
        ...

    async def list(
        self,
        scope: Scope,
        *,
        types: frozenset[MemoryType] = frozenset(),
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """Memories, newest first (by creation, then position, then id), a page at a time.

        Raises:
            InvalidRequest: The cursor is not one this scope was given.
        """
        ...

    async def update(self, scope: Scope, id: str, change: MemoryChange) -> MemoryRecord | None:
        """Sets the fields a change names on an existing memory, in one atomic step with a new epoch.

        Everything else stays, created_at and access_count among it; without new content the vectors and
        statistics stay too.

        Returns:
            The memory as it is now, or ``None`` when there is none of that id in the scope: an update never creates.
        """
        ...

    async def forget(self, scope: Scope, ids: Sequence[str]) -> int:
        """Deletes memories with all that belongs to them. Returns how many there were."""
        ...

    async def forget_scope(
        self, scope: Scope, *, types: frozenset[MemoryType] = frozenset(), older_than: datetime | None = None
    ) -> int:
        """Deletes the scope's memories of these types (empty: all) created before `older_than` (``None``: all).

        Bounded batches: one that is interrupted can be repeated. Returns how many were deleted.
        """
        ...

    async def count(self, scope: Scope, *, types: frozenset[MemoryType] = frozenset()) -> int:
        """How many memories the scope holds."""
        ...

    async def touch(self, scope: Scope, ids: Sequence[str], at: datetime) -> None:
        """Counts an access for each time an id stands in `ids`. Ids that are gone are ignored; the epoch stays.

        `MemoryRecord.accessed_at` becomes the later of `at` and what it is.
        """
        ...

    def users(self) -> AsyncIterator[str]:
        """The ids of all who have memories, in no particular order; for operators.

        They are read in small steps while writes go on. A user who is there all the while is given at least once.
        """
        ...

    async def stats(self) -> StoreStats:
        """Totals over all users, for operators."""
        ...

    async def examine(self, *, planned: int | None = None) -> tuple[Finding, ...]:
        """Checks of everything an operator should know, in the order they are worth reading.

        The store need not be open, and one that cannot be opened or reached is a finding, of the name
        `REACHABLE` where it may come back by itself. Nothing is created or changed, apart from what a check leaves
        nothing of. Raises nothing for what it finds.

        Args:
            planned: For how many memories, ≥ 1, the space they will take is estimated; ``None`` for no estimate.

        Raises:
            InvalidRequest: `planned` is no positive number.
        """
        ...
