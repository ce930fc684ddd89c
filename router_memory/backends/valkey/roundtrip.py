"""One round trip of a search: what is sent, and what comes back of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.damage import Misfiled, number
from router_memory.backends.valkey.query import (
    DISTANCE,
    LONGEST_TIMEOUT_MS,
    MOST_NEIGHBOURS,
    Command,
    Knn,
    Options,
    counted,
    matching,
    nearest,
    owned_by,
    stem_groups,
    with_stems,
)
from router_memory.backends.valkey.records import encode_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router_memory.backends.valkey.keys import Keys
    from router_memory.backends.valkey.records import Hash
    from router_memory.backends.valkey.schema import Shape
    from router_memory.types import CandidateQuery

__all__ = ["INDEX", "PROMOTED", "Found", "Plan", "commands"]

META, COUNT, DENSE, LEXICAL, EPOCH, INDEX, PROMOTED = "meta", "count", "dense", "lexical", "epoch", "index", "promoted"
"""What a command of a round trip asks for."""

MOST_COUNTED = 100_000
"""The module counts no further unless it is configured to."""

_DISTANCE = DISTANCE.encode()
_MEMORY = b"memory"
_UNKNOWN = b"nan"
"""The distance of a memory that was not searched for by vector."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one round trip is to do.

    Attributes:
        query: What is looked for.
        keys: The user's.
        count: Neighbours asked for.
        promoted: The index of the user's own; ``None`` when it has none that may be used.
        deadline: When the answer is of no use any more, on the clock of `time.monotonic`.
        local: Whether the server is a node of a cluster.
        vectors: Whether to give all vectors of memories that have several.
    """

    query: CandidateQuery
    keys: Keys
    count: int
    promoted: str | None
    deadline: float
    local: bool
    vectors: bool

    @property
    def filtered(self) -> bool:
        """Whether not every memory of the user counts."""
        return self.query.scope.project is not None or bool(self.query.types)

    @property
    def graph(self) -> str | None:
        """The index of the user's own if the dense channel goes through it: it holds vectors and nothing to filter."""
        return None if self.filtered or self.query.vector is None else self.promoted

    @property
    def left(self) -> float:
        """Seconds until the deadline, > 0."""
        return max(0.001, self.deadline - monotonic())

    @property
    def asks(self) -> bool:
        """Whether there is anything to search for."""
        return self.query.vector is not None or bool(self.query.stems)


@dataclass(slots=True)
class Found:
    """What one round trip brought. Ids are bytes until it is clear which of them count.

    Attributes:
        epoch_before, epoch_after: The user's epoch around the searches; ``None`` without data.
        layout: What the user's data say they are; ``None`` without data.
        documents, vectors: How many the user has.
        counted: How many of them the index that is searched by vector holds, before the searches and after.
        filling: Whether an index that was searched said that it is not whole.
        dense, lexical: Cosine by id, not clipped; NaN without a query vector.
        rows: The hashes by id.
        hits: How many the dense search gave.
        full: Whether those are as many as it was asked for.
    """

    epoch_before: bytes | None = None
    epoch_after: bytes | None = None
    layout: bytes | None = None
    documents: int = 0
    vectors: int = 0
    counted: list[int] = field(default_factory=list)
    filling: bool = False
    dense: dict[bytes, float] = field(default_factory=dict)
    lexical: dict[bytes, float] = field(default_factory=dict)
    rows: dict[bytes, Hash] = field(default_factory=dict)
    hits: int = 0
    full: bool = False

    @property
    def exists(self) -> bool:
        """Whether the user had data at any time of the round trip."""
        return self.epoch_before is not None or self.epoch_after is not None

    @property
    def torn(self) -> bool:
        """Whether the user's data changed during the round trip."""
        return self.epoch_before != self.epoch_after

    @property
    def whole(self) -> bool:
        """Whether what was searched held all of the user's vectors."""
        wanted = min(self.vectors, MOST_COUNTED)
        return not self.filling and all(count >= wanted for count in self.counted)

    def take(self, plan: Plan, kind: str, reply: Any, scale: float) -> None:
        """Takes the reply to a command for META, COUNT, DENSE, LEXICAL or EPOCH.

        Args:
            plan: Of the round trip.
            kind: What was asked for.
            reply: As it came.
            scale: What turns a distance into 1 - cosine.

        Raises:
            Damaged: A count is no number.
            Misfiled: It is about another user.
        """
        if kind == META:
            self.epoch_before, user, documents, vectors, self.layout = reply
            if user is not None and user != plan.query.scope.user_id.encode():
                raise Misfiled("another user was found under this user's digest")
            self.documents, self.vectors = number(documents), number(vectors)
        elif kind == EPOCH:
            self.epoch_after = reply
        elif kind == COUNT:
            self.counted.append(int(reply[0]))
        else:
            hits: Mapping[bytes, Hash] = reply[1] if len(reply) > 1 else {}
            self._hits(plan, hits, self.dense if kind == DENSE else self.lexical, scale)
            if kind == DENSE:
                self.hits, self.full = len(hits), len(hits) >= plan.count

    def _hits(self, plan: Plan, hits: Mapping[bytes, Hash], cosines: dict[bytes, float], scale: float) -> None:
        own = f"{plan.keys.base}:".encode()
        start, rows = len(own), self.rows
        names = [key[start:] for key in hits if key.startswith(own)]
        found = [1.0 - float(fields.get(_DISTANCE, _UNKNOWN)) * scale for fields in hits.values()]
        if len(names) == len(hits) and not cosines:  # as a rule: none is a vector beside a memory's first one
            cosines.update(zip(names, found, strict=True))
            rows.update([pair for pair in zip(names, hits.values(), strict=True) if _MEMORY in pair[1]])
            return
        for (key, fields), cosine in zip(hits.items(), found, strict=True):
            name = key[start:] if key.startswith(own) else _part_of(plan.keys, key)
            if name not in cosines or cosine > cosines[name]:
                cosines[name] = cosine
            if _MEMORY in fields:
                rows[name] = fields


def _part_of(keys: Keys, key: bytes) -> bytes:
    """The id of the memory that a vector beside the first one belongs to.

    Raises:
        Misfiled: It is another user's.
    """
    name = keys.id_of(key.decode())
    if name is None:
        raise Misfiled("a memory of another user was found and held back")
    return name.encode()


def commands(plan: Plan, index: str, shape: Shape) -> Iterator[tuple[str, Command]]:
    """What to send, in this order on one connection, and what each command asks for.

    The searches stand between questions whether what is searched holds all of the user's vectors: an index that is
    whole before and after them was so during them.

    Args:
        plan: What is to be done.
        index: The name of the index over everything.
        shape: How vectors are indexed.
    """
    query, meta = plan.query, plan.keys.meta
    milliseconds = min(max(1, int(plan.left * 1000)), LONGEST_TIMEOUT_MS)
    options = Options(timeout_ms=milliseconds, local=plan.local, vectors=plan.vectors)
    where = owned_by(query.scope, query.types)
    yield META, ("HMGET", meta, "epoch", "user", "documents", "vectors", "layout")
    whole: list[tuple[str, Command]] = []
    if plan.graph is not None:  # counting a large user takes longer than the search
        whole.append((PROMOTED, ("FT.INFO", plan.graph)))
        if query.stems:
            whole.append((INDEX, ("FT.INFO", index)))
    elif plan.asks:
        whole.append((COUNT, counted(index, plan.keys.user, options)))
    yield from whole
    yield from _searches(plan, index, shape, where, options)
    yield from whole
    yield EPOCH, ("HGET", meta, "epoch")


def _searches(plan: Plan, index: str, shape: Shape, where: str, options: Options) -> Iterator[tuple[str, Command]]:
    query = plan.query
    vector = b"" if query.vector is None else encode_vectors(query.vector)
    if vector and plan.graph is not None:
        yield DENSE, nearest(plan.graph, "*", Knn(plan.count, vector, shape.ef_runtime), options)
    elif vector:
        yield DENSE, nearest(index, where, Knn(plan.count, vector, shape.ef_main), options)
    limit = min(query.lexical_limit, MOST_NEIGHBOURS)
    for stems in stem_groups(query.stems):
        holding = with_stems(plan.keys, where, stems)
        if vector:
            yield LEXICAL, nearest(index, holding, Knn(limit, vector, shape.ef_main), options)
        else:
            yield LEXICAL, matching(index, holding, limit, options)
