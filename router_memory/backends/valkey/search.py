"""The candidates of a query: both channels in one round trip, with the user's epoch before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from router_memory.backends.valkey.damage import Misfiled, reading
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.query import (
    DISTANCE,
    LONGEST_TIMEOUT_MS,
    MOST_NEIGHBOURS,
    Command,
    Knn,
    Options,
    matching,
    nearest,
    owned_by,
    stem_groups,
    with_stems,
)
from router_memory.backends.valkey.records import MORE, RECORD_FIELDS, decode_memories, decode_vectors, encode_vectors
from router_memory.backends.valkey.schema import cosine_of
from router_memory.backends.valkey.translate import BACKEND, IndexMissing
from router_memory.errors import BackendError, BackendUnavailable
from router_memory.storage import new_epoch
from router_memory.types import Candidate, CandidateQuery, CandidateSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.index import MainIndex
    from router_memory.backends.valkey.promotion import Promotions
    from router_memory.backends.valkey.records import Hash

__all__ = ["Searcher"]

_OPERATION = "candidates"
_DISTANCE = DISTANCE.encode()
_MEMORY = b"memory"
_MORE = MORE.encode()
_TRIES = 3
"""How often a search is made when writes of the same user come in between, or an index turns out to be gone."""
_KNOWN_USERS = 10_000
_WIDER = 4


@dataclass(slots=True)
class _Found:
    """What one round trip brought.

    Attributes:
        epoch_before, epoch_after: The user's epoch around the searches; ``None`` without data.
        documents, vectors: How many the user has.
        dense, lexical: Cosine by id; NaN without a query vector.
        rows: The hashes by id.
        full: Whether the dense search gave as many hits as it was asked for.
        exact: Whether it looked at every vector.
        looked: Whether it asked for the state of the index over everything.
    """

    epoch_before: bytes | None = None
    epoch_after: bytes | None = None
    documents: int = 0
    vectors: int = 0
    dense: dict[str, float] = field(default_factory=dict)
    lexical: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Hash] = field(default_factory=dict)
    hits: int = 0
    full: bool = False
    exact: bool = True
    looked: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """The searches of one round trip.

    Attributes:
        query: What is looked for.
        keys: The user's.
        count: Neighbours asked for.
        promoted: The index of the user's own to be used for the dense channel; ``None`` for the one over everything.
        deadline: When the answer is of no use any more, on the clock of `time.monotonic`.
    """

    query: CandidateQuery
    keys: Keys
    count: int
    promoted: str | None
    deadline: float

    @property
    def filtered(self) -> bool:
        return self.query.scope.project is not None or bool(self.query.types)

    @property
    def graph(self) -> str | None:
        """The index of the user's own if the dense channel goes through it: it holds vectors and nothing to filter."""
        return None if self.filtered or self.query.vector is None else self.promoted


class Searcher:
    """Finds candidates.

    Args:
        connection: The server.
        index: Over everything.
        promotions: The indexes of large users.
    """

    def __init__(self, connection: Connection, index: MainIndex, promotions: Promotions) -> None:
        self._connection = connection
        self._index = index
        self._promotions = promotions
        self._vectors_per_memory: LRUCache[str, float] = LRUCache(_KNOWN_USERS)

    async def candidates(self, query: CandidateQuery, within: float) -> CandidateSet:
        """See `MemoryStore.candidates`.

        Writes of the same user that come in between make it search again. When they keep coming the last answer
        counts, under an epoch that no state of the data has.
        """
        keys = Keys.of(self._index.prefix, query.scope)
        deadline = monotonic() + within
        count = self._first_count(query, keys)
        exact_only = False
        found = _Found()
        gone: IndexMissing | None = None
        for _ in range(_TRIES):
            await self._index.ensure(_OPERATION, keys.meta)
            promoted = None if exact_only else self._promotions.usable(keys)
            plan = _Plan(query, keys, count, promoted, deadline)
            try:
                found, gone = await self._search(plan), None
            except IndexMissing as error:
                gone = error
                self._missing(plan)
                continue
            if found.epoch_before is None and found.epoch_after is None:
                return CandidateSet("", ())
            self._note(plan, found)
            if found.epoch_before != found.epoch_after:
                continue
            count, enough = self._enough(plan, found)
            if enough:
                break
            exact_only = True
        if gone is not None:
            raise gone
        return self._candidates(query, keys, found)

    def _first_count(self, query: CandidateQuery, keys: Keys) -> int:
        ratio = self._vectors_per_memory.get(keys.user, 1.0)
        if ratio == 1.0:
            return min(query.dense_limit, MOST_NEIGHBOURS)
        return min(math.ceil(query.dense_limit * ratio * 1.5) + 1, MOST_NEIGHBOURS)

    def _missing(self, plan: _Plan) -> None:
        if plan.graph is not None:
            self._promotions.discard(plan.keys)
        else:
            self._index.missing()

    def _note(self, plan: _Plan, found: _Found) -> None:
        if found.documents:
            self._vectors_per_memory[plan.keys.user] = found.vectors / found.documents
        self._promotions.grown(plan.keys, found.vectors)

    def _enough(self, plan: _Plan, found: _Found) -> tuple[int, bool]:
        """How many neighbours to ask for, and whether that many were.

        Vectors of one memory stand side by side, so the nearest vectors may be those of fewer memories than asked for.
        """
        query = plan.query
        if query.vector is None or (plan.filtered and not found.full):
            return plan.count, True
        short = not plan.filtered and found.hits < min(plan.count, found.vectors)
        if plan.graph is not None and (short or self._promotions.usable(plan.keys) is None):
            self._promotions.discard(plan.keys)
            return plan.count, False
        if short:
            self._index.doubt()
            return plan.count, found.looked
        if found.full and len(found.dense) < query.dense_limit and plan.count < min(found.vectors, MOST_NEIGHBOURS):
            wider = max(plan.count * _WIDER, self._first_count(query, plan.keys))  # it knows the user's ratio now
            return min(wider, found.vectors, MOST_NEIGHBOURS), False
        return plan.count, True

    def _commands(self, plan: _Plan) -> tuple[list[Command], list[str], Options]:
        """The commands of a round trip, what each of them is, and how the searches among them are answered."""
        query, meta = plan.query, plan.keys.meta
        options = Options(
            timeout_ms=min(max(1, int((plan.deadline - monotonic()) * 1000)), LONGEST_TIMEOUT_MS),
            local=self._connection.cluster,
            vectors=query.vector is not None and self._vectors_per_memory.get(plan.keys.user, 1.0) > 1.0,
        )
        where = owned_by(query.scope, query.types)
        commands: list[Command] = [("HMGET", meta, "epoch", "user", "documents", "vectors")]
        kinds = ["meta"]
        if self._index.due:  # in front of the searches: one that is whole before them is whole during them
            commands.append(("FT.INFO", self._index.name))
            kinds.append("index")
        if plan.graph is not None and self._promotions.due(plan.keys):
            commands.append(("FT.INFO", plan.graph))
            kinds.append("promoted")
        if query.vector is not None:
            vector = encode_vectors(query.vector)
            index = plan.graph or self._index.name
            ef = self._index.shape.ef_runtime if plan.graph else self._index.shape.ef_main
            knn = Knn(plan.count, vector, ef)
            commands.append(nearest(index, "*" if plan.graph else where, knn, options))
            kinds.append("dense")
        for stems in stem_groups(query.stems):
            holding = with_stems(plan.keys, where, stems)
            limit = min(query.lexical_limit, MOST_NEIGHBOURS)
            if query.vector is None:
                commands.append(matching(self._index.name, holding, limit, options))
            else:
                knn = Knn(limit, vector, self._index.shape.ef_main)
                commands.append(nearest(self._index.name, holding, knn, options))
            kinds.append("lexical")
        commands.append(("HGET", meta, "epoch"))
        kinds.append("epoch")
        return commands, kinds, options

    async def _search(self, plan: _Plan) -> _Found:
        commands, kinds, options = self._commands(plan)
        replies = await self._send(commands, plan)
        found = _Found(exact=plan.graph is None and self._index.shape.index_type == "flat")
        with reading(_OPERATION, self._connection.location):
            for kind, reply in zip(kinds, replies, strict=True):
                if isinstance(reply, BackendError):
                    raise reply
                self._take(plan, kind, reply, found)
        await self._complete(plan, options.vectors, found)
        return found

    async def _send(self, commands: Sequence[Command], plan: _Plan) -> list[Any]:
        return await self._connection.pipeline(
            _OPERATION,
            commands,
            key=plan.keys.meta,
            search=True,
            timeout=max(0.001, plan.deadline - monotonic()),
        )

    def _take(self, plan: _Plan, kind: str, reply: Any, found: _Found) -> None:
        if kind == "meta":
            epoch, user, documents, vectors = reply
            if user is not None and user != plan.query.scope.user_id.encode():
                raise Misfiled("another user was found under this user's digest")
            found.epoch_before = epoch
            found.documents, found.vectors = int(documents or 0), int(vectors or 0)
        elif kind == "epoch":
            found.epoch_after = reply
        elif kind == "index":
            self._index.observe(reply)
            found.looked = True
        elif kind == "promoted":
            self._promotions.observe(plan.keys, reply)
        else:
            hits: Mapping[bytes, Hash] = reply[1] if len(reply) > 1 else {}
            cosines = found.dense if kind == "dense" else found.lexical
            self._hits(plan, hits, cosines, found.rows)
            if kind == "dense":
                found.hits = len(hits)
                found.full = len(hits) >= plan.count

    def _hits(self, plan: _Plan, hits: Mapping[bytes, Hash], cosines: dict[str, float], rows: dict[str, Hash]) -> None:
        metric, keys = self._index.shape.metric, plan.keys
        for key, fields in hits.items():
            memory_id = keys.id_of(key.decode())
            if memory_id is None:
                raise Misfiled("a memory of another user was found and held back")
            distance = fields.get(_DISTANCE)
            if distance is not None:
                cosine = cosine_of(float(distance), metric)
                cosines[memory_id] = max(cosine, cosines.get(memory_id, -1.0))
            else:
                cosines[memory_id] = math.nan
            if _MEMORY in fields:
                rows[memory_id] = fields

    async def _complete(self, plan: _Plan, with_vectors: bool, found: _Found) -> None:
        """Reads what the searches left out: of memories with several vectors, which few users have.

        Those found by a vector beside their first one came without their text; those of a user who was not known to
        have such memories came without their other vectors.
        """
        left = [memory_id for memory_id in {**found.dense, **found.lexical} if memory_id not in found.rows]
        if plan.query.vector is not None and not with_vectors and found.vectors > found.documents:
            left += found.rows
        if left:
            await self._fetch(plan, left, found)

    async def _fetch(self, plan: _Plan, ids: Sequence[str], found: _Found) -> None:
        """Reads memories with all their vectors but the first."""
        asked = (*RECORD_FIELDS, MORE)
        names = [name.encode() for name in asked]
        commands: list[Command] = [("HMGET", plan.keys.record(memory_id), *asked) for memory_id in ids]
        *replies, epoch = await self._send([*commands, ("HGET", plan.keys.meta, "epoch")], plan)
        for memory_id, reply in zip(ids, replies, strict=True):
            if isinstance(reply, BackendError):
                raise reply
            if reply[0] is None:
                found.dense.pop(memory_id, None)
                found.lexical.pop(memory_id, None)
            else:
                found.rows[memory_id] = {
                    name: value for name, value in zip(names, reply, strict=True) if value is not None
                }
        if isinstance(epoch, BackendError):
            raise epoch
        found.epoch_after = epoch

    def _candidates(self, query: CandidateQuery, keys: Keys, found: _Found) -> CandidateSet:
        with reading(_OPERATION, self._connection.location):
            chosen = self._chosen(query, found)
            memories = decode_memories(query.scope, [(memory_id, found.rows[memory_id]) for memory_id in chosen])
            candidates = tuple(
                Candidate(record=record, document=document, cosine=cosine, parts=parts)
                for (record, document, parts), cosine in zip(memories, chosen.values(), strict=True)
            )
        partial = not self._index.ready
        asked = query.vector is not None or bool(query.stems)
        if partial and asked and not candidates and found.documents:
            raise BackendUnavailable(
                f"{self._connection.location}: the index {self._index.name} is being built, "
                f"{self._index.progress:.0%} done",
                backend=BACKEND,
                operation=_OPERATION,
                hint="searches find everything once it is done; memories are not lost",
            )
        torn = found.epoch_before != found.epoch_after
        epoch = new_epoch() if torn else (found.epoch_before or b"").decode()
        return CandidateSet(epoch, candidates, exact=found.exact, partial=partial)

    def _chosen(self, query: CandidateQuery, found: _Found) -> dict[str, float]:
        """Both channels united: ids with their cosine."""
        chosen = dict(_best(found.dense, query.dense_limit))
        for memory_id, cosine in _best(found.lexical, query.lexical_limit):
            chosen[memory_id] = max(cosine, chosen.get(memory_id, cosine))
        if query.vector is not None:
            for memory_id in chosen:
                more = found.rows[memory_id].get(_MORE)
                if more is not None:
                    chosen[memory_id] = max(chosen[memory_id], _nearest_of(more, query.vector))
        return chosen


def _best(cosines: Mapping[str, float], limit: int) -> list[tuple[str, float]]:
    """The `limit` nearest."""
    if len(cosines) <= limit:
        return list(cosines.items())
    return sorted(cosines.items(), key=lambda item: -item[1])[:limit]


def _nearest_of(raw: bytes, vector: NDArray[np.float32]) -> float:
    """The greatest cosine of a vector to some that stand one behind the other."""
    rows = decode_vectors(raw, len(vector))
    return min(1.0, max(-1.0, float((rows @ vector).max())))
