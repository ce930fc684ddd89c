"""The seams. Pipeline and plugin know backends through these protocols alone.

A protocol exists where two implementations live in the tree or one is the product's and the
other a test double that the contract suite holds to the same behaviour.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from router_memory.types import (
    CacheServerStats,
    CandidateQuery,
    CandidateSet,
    Finding,
    LexicalStatistics,
    Looked,
    MemoryChange,
    MemoryRecord,
    MemoryType,
    MemoryWrite,
    Page,
    Retrieved,
    Scope,
    SearchQuery,
    StoreStats,
    WriteStatus,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "HotCache", "MemoryStore", "Retriever"]


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

    @property
    def runtime(self) -> str:
        """What computes: ``torch``, ``onnx`` or ``onnx-int8``. Valid after `identify`.

        Vectors of any two can be compared, so it is no part of the fingerprint. Their `precision` shows in the cosines
        and stays the same as long as the embedder lives.
        """
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

    def backlog_seconds(self, text: str = "") -> float:
        """How long a query that came now would wait before its batch starts, estimated, ≥ 0.

        Args:
            text: The query, for embedders that remember some; empty for any.
        """
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

    @property
    def epoch_is_inline(self) -> bool:
        """Whether `epoch` takes microseconds and waits for nothing, so that nothing need be done meanwhile."""
        ...

    @property
    def index_progress(self) -> float:
        """How much of the data can be found, in [0, 1], as far as this process knows; 1 where no index has to fill."""
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

    async def epoch(self, scope: Scope) -> str:
        """The user's epoch alone, as `statistics` gives it: the primary's, never a replica's. Empty without data."""
        ...

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """The user's epoch and lexical statistics, with the document frequency of each of `stems`.

        This and `epoch` may be begun by one task, wait while that does something else, and go on in another, so they
        may not hold on to the current task as `asyncio.timeout` and `asyncio.TaskGroup` do.
        """
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


class Retriever(Protocol):
    """Looks up the candidates of a question."""

    async def retrieve(self, query: SearchQuery, *, until: float = math.inf) -> Retrieved:
        """The candidates with all that ranking needs, of a state of the data that is not older than the call.

        Args:
            query: What was asked.
            until: When the result is of no use any more, on the clock of `time.perf_counter`.

        Raises:
            EmbeddingError, BackendError: As the embedder and the store do.
            Overloaded: The embedder could not start before `until`.
            TimeoutError: `until` passed between two stages.
        """
        ...


class HotCache(Protocol):
    """A server that keeps values for every process, and may lose any of them at any time.

    Values are bytes; what they mean and whether they are still true is the caller's matter. What belongs to a user
    lives in one place, so that it can be taken away in one step. Every call gives up after `within` seconds, > 0, and
    raises `BackendError`s; callers turn them into a miss.
    """

    @property
    def location(self) -> str:
        """What errors and operators call it: ``host:port/database``."""
        ...

    async def open(self) -> None:
        """Makes the clients. A server that is away is no error: nothing is sent before the first call."""
        ...

    async def close(self) -> None:
        """Ends what is under way and releases everything. Idempotent."""
        ...

    async def get(self, user: str, field: bytes, *, vector: bytes | None = None, within: float) -> Looked:
        """The value of a user's field, and the lease that a later `put` of this user needs. One round trip.

        Args:
            user: Digest of the user id.
            field: Digest of the question, 32 bytes.
            vector: A key whose value is wanted at the same time, see `get_vector`.
        """
        ...

    async def put(
        self, user: str, field: bytes, value: bytes, *, epoch: str, lease: bytes, ttl: float, within: float
    ) -> bool:
        """Keeps a value for `ttl` seconds at least, unless the user was purged since `lease` was given.

        Values of another epoch of this user are dropped in the same step, and all of them where they are too many.

        Returns:
            Whether it was kept.
        """
        ...

    async def purge(self, user: str, *, within: float) -> None:
        """Takes away all values of a user in one step, and those of every `put` whose lease is from before."""
        ...

    async def get_vector(self, key: bytes, *, within: float) -> bytes | None:
        """The value of a key of 32 bytes that belongs to no user; ``None`` when there is none."""
        ...

    async def put_vector(self, key: bytes, value: bytes, *, ttl: float, within: float) -> None:
        """Keeps such a value for `ttl` seconds."""
        ...

    async def clear(self) -> int:
        """Takes away everything under the cache's prefix, in small steps. Returns how many keys there were."""
        ...

    async def stats(self) -> CacheServerStats:
        """What the server holds and how it is set up, for operators; walks over its keys."""
        ...

    async def examine(self) -> tuple[Finding, ...]:
        """Checks of what an operator should know; see `MemoryStore.examine`. Raises nothing for what it finds."""
        ...
