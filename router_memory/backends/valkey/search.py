"""The candidates of a query: both channels in one round trip, with the user's epoch before and after."""

from __future__ import annotations

import asyncio
import logging
import math
from time import monotonic
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from router_memory.backends.valkey.damage import reading
from router_memory.backends.valkey.index import FILL_SECONDS
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.query import MOST_NEIGHBOURS
from router_memory.backends.valkey.records import MORE, RECORD_FIELDS, decode_vectors
from router_memory.backends.valkey.roundtrip import INDEX, PROMOTED, Found, Plan, commands
from router_memory.backends.valkey.translate import BACKEND, IndexMissing
from router_memory.errors import BackendError, BackendTimeout, BackendUnavailable
from router_memory.storage import new_epoch
from router_memory.types import Candidate, CandidateQuery, CandidateSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.decoded import Decoded
    from router_memory.backends.valkey.index import MainIndex
    from router_memory.backends.valkey.promotion import Promotions
    from router_memory.backends.valkey.query import Command
    from router_memory.types import Scope

__all__ = ["Searcher"]

_log = logging.getLogger("router_memory.valkey")

_OPERATION = "candidates"
_TRIES = 3
"""How often a search is made when writes of the same user come in between, or an index turns out to be gone."""
_KNOWN_USERS = 10_000
_WIDER = 4
_PATIENCE_SECONDS = 0.5
_NEAR_SECONDS = 0.005
"""A search given up so shortly before its deadline was given up for it."""
_SILENT_SECONDS = 600.0
"""How long nothing more is logged of an index that lacks memories."""
_MORE = MORE.encode()


class Searcher:
    """Finds candidates.

    Args:
        connection: The server.
        index: Over everything.
        promotions: The indexes of large users.
        decoded: What it decodes memories with.
    """

    def __init__(self, connection: Connection, index: MainIndex, promotions: Promotions, decoded: Decoded) -> None:
        self._connection = connection
        self._index = index
        self._promotions = promotions
        self._vectors_per_memory: LRUCache[str, float] = LRUCache(_KNOWN_USERS)
        self._short: LRUCache[str, bytes] = LRUCache(_KNOWN_USERS)
        self._decoded = decoded
        self._silent_until = -math.inf

    async def candidates(self, query: CandidateQuery, deadline: float) -> CandidateSet:
        """See `MemoryStore.candidates`.

        Writes of the same user that come in between make it search again, and so does an index that does not hold
        all of the user's memories. When that goes on the last answer counts, under an epoch that no state of the data
        has, so that nobody takes it for the answer to come.

        Args:
            query: What is looked for.
            deadline: When the answer is of no use any more, on the clock of `time.monotonic`.
        """
        keys = Keys.of(self._index.prefix, query.scope)
        patience = min(monotonic() + _PATIENCE_SECONDS, (monotonic() + deadline) / 2)
        while True:
            partings = self._decoded.partings
            plan, found = await self._searched(query, keys, deadline)
            if not found.exists:
                self._decoded.discard(query.scope)  # another process may have had all of it forgotten
                return CandidateSet("", ())
            if not self._is_missing_all(plan, found) or monotonic() > patience:
                return self._candidates(plan, found, partings)
            await asyncio.sleep(FILL_SECONDS)  # an index that was made this moment is full the next

    def let_go(self, scope: Scope) -> None:
        """Keeps nothing in this process of a user who had memories forgotten or their text changed."""
        self._decoded.let_go(scope)

    async def _searched(self, query: CandidateQuery, keys: Keys, deadline: float) -> tuple[Plan, Found]:
        """A plan and what it brought, of one state of the user's data if that could be had."""
        count, exact_only = self._first_count(query, keys), False
        last: tuple[Plan, Found] | None = None
        gone: IndexMissing | None = None
        for left in reversed(range(_TRIES)):
            await self._index.ensure(_OPERATION, keys.meta, within=deadline - monotonic())
            promoted = None if exact_only else self._promotions.usable(keys)
            plan = Plan(query, keys, count, promoted, deadline, self._connection.cluster, self._has_parts(query, keys))
            try:
                found = await self._search(plan)
            except IndexMissing as error:
                gone = error
                self._missing(plan)
                exact_only = True  # a graph may be made and dropped again meanwhile; the index over everything is there
                continue
            except BackendTimeout:
                self._late(plan)
                if last is None:
                    raise
                return last
            except asyncio.CancelledError:
                if monotonic() >= deadline - _NEAR_SECONDS:  # who asked has the same deadline, and may see it first
                    self._late(plan)
                raise
            last = plan, found
            if await self._is_settled(plan, found, last_try=left == 0):
                return last
            if found.whole and not found.torn:
                count = self._wider(plan, found, most=left == 1)
            exact_only = not found.torn
        if last is None:
            raise gone or self._index.unsettled(_OPERATION)
        return last

    def _late(self, plan: Plan) -> None:
        """Has it looked at whether the user is a large one when a search through the exact index was not in time."""
        if plan.graph is None:
            self._promotions.missed(plan.keys)

    async def _is_settled(self, plan: Plan, found: Found, *, last_try: bool) -> bool:
        """Whether the answer may be given: of one state of the data, from a whole index, as much as was asked for."""
        if not found.exists:
            return True
        self._check_layout(found)
        self._note(plan, found)
        if found.torn:
            return False
        if not found.whole:
            return await self._is_known_short(plan, found, last_try=last_try)
        return _has_enough(plan, found)

    async def _is_known_short(self, plan: Plan, found: Found, *, last_try: bool) -> bool:
        """Whether it is known that the index lacks some of the user's vectors although it is not filling.

        So it is when hashes were tampered with, or the server damaged the index when it loaded it. Else the index is
        looked at: it may be filling.
        """
        if plan.graph is not None:
            self._promotions.suspend(plan.keys)
            return False
        if self._short.get(plan.keys.user) == found.epoch_after:
            return True
        await self._index.refresh(_OPERATION, plan.keys.meta)
        if last_try and self._index.ready and found.epoch_after is not None:
            self._short[plan.keys.user] = found.epoch_after
            self._warn()
        return False

    def _warn(self) -> None:
        """Logs once in a while that the index is full and lacks memories all the same."""
        if monotonic() < self._silent_until:
            return
        self._silent_until = monotonic() + _SILENT_SECONDS
        location, name = self._connection.location, self._index.name
        _log.warning("%s: the index %s is ready and lacks memories: router-memory doctor says why", location, name)

    def _is_missing_all(self, plan: Plan, found: Found) -> bool:
        """Whether an index that is not whole, and may yet become so, gave nothing of what a user has."""
        if not plan.asks or found.documents == 0 or found.whole or found.dense or found.lexical:
            return False
        return found.filling or not self._index.ready or not any(found.counted)

    def _check_layout(self, found: Found) -> None:
        """Looks at the index anew when the user's data are not what they are taken for.

        Raises:
            IndexMismatch: They were written with another embedder.
        """
        layout = self._index.layout
        if found.layout is not None and layout is not None and found.layout != layout.token.encode():
            self._index.missing()
            raise self._index.foreign_data(_OPERATION)

    def _has_parts(self, query: CandidateQuery, keys: Keys) -> bool:
        """Whether the user is known to have memories of several vectors, which are wanted then."""
        return query.vector is not None and self._vectors_per_memory.get(keys.user, 1.0) > 1.0

    def _first_count(self, query: CandidateQuery, keys: Keys) -> int:
        ratio = self._vectors_per_memory.get(keys.user, 1.0)
        if ratio == 1.0:
            return min(query.dense_limit, MOST_NEIGHBOURS)
        return min(math.ceil(query.dense_limit * ratio * 1.5) + 1, MOST_NEIGHBOURS)

    def _missing(self, plan: Plan) -> None:
        if plan.graph is not None:
            self._promotions.discard(plan.keys)
        else:
            self._index.missing()

    def _note(self, plan: Plan, found: Found) -> None:
        if found.documents:
            self._vectors_per_memory[plan.keys.user] = found.vectors / found.documents
        self._promotions.grown(plan.keys, found.vectors)

    def _wider(self, plan: Plan, found: Found, *, most: bool) -> int:
        """How many neighbours to ask for next."""
        wider = max(plan.count * _WIDER, self._first_count(plan.query, plan.keys))  # it knows the user's ratio now
        return min(MOST_NEIGHBOURS if most else wider, max(found.vectors, 1), MOST_NEIGHBOURS)

    async def _search(self, plan: Plan) -> Found:
        asked = list(commands(plan, self._index.name, self._index.shape))
        replies = await self._send([command for _, command in asked], plan)
        found, scale = Found(), self._index.shape.distance_scale
        with reading(_OPERATION, self._connection.location):
            for (kind, _), reply in zip(asked, replies, strict=True):
                if kind == INDEX:
                    found.filling = found.filling or not self._index.observe(reply).ready
                elif kind == PROMOTED:
                    own = self._promotions.observe(plan.keys, reply)
                    found.counted.append(own.documents)
                    found.filling = found.filling or not own.ready
                else:
                    found.take(plan, kind, reply, scale)
        if self._index.shape.index_type == "flat" and plan.graph is None and not plan.filtered:
            wanted = 0 if plan.query.vector is None else min(plan.count, found.vectors)
            found.filling = found.filling or found.hits < wanted  # a key that moves is counted longer than it is found
        await self._complete(plan, found)
        return found

    async def _send(self, asked: Sequence[Command], plan: Plan) -> list[Any]:
        """The replies, none of which is an error."""
        replies = await self._connection.pipeline(_OPERATION, asked, key=plan.keys.meta, search=True, timeout=plan.left)
        for reply in replies:
            if isinstance(reply, BackendError):
                raise reply
        return replies

    async def _complete(self, plan: Plan, found: Found) -> None:
        """Reads what the searches left out: of memories with several vectors, which few users have.

        Those found by a vector beside their first one came without their text; those of a user who was not known to
        have such memories came without their other vectors.
        """
        left = [name for name in {**found.dense, **found.lexical} if name not in found.rows]
        if plan.query.vector is not None and not plan.vectors and found.vectors > found.documents:
            left += found.rows
        if left:
            await self._fetch(plan, left, found)

    async def _fetch(self, plan: Plan, names: Sequence[bytes], found: Found) -> None:
        """Reads memories with all their vectors but the first."""
        asked = (*RECORD_FIELDS, MORE)
        fields = [field.encode() for field in asked]
        reads: list[Command] = [("HMGET", plan.keys.record(name.decode()), *asked) for name in names]
        *replies, found.epoch_after = await self._send([*reads, ("HGET", plan.keys.meta, "epoch")], plan)
        for name, reply in zip(names, replies, strict=True):
            if reply[0] is None:
                found.dense.pop(name, None)
                found.lexical.pop(name, None)
            else:
                pairs = zip(fields, reply, strict=True)
                found.rows[name] = {field: value for field, value in pairs if value is not None}

    def _candidates(self, plan: Plan, found: Found, partings: int) -> CandidateSet:
        query, shape = plan.query, self._index.shape
        with reading(_OPERATION, self._connection.location):
            chosen = _chosen(query, found)
            memories = self._decoded.memories(query.scope, tuple(chosen), found.rows, partings=partings)
        candidates = tuple(
            [
                Candidate(record, document, cosine, parts)
                for (record, document, parts), cosine in zip(memories, chosen.values(), strict=True)
            ]
        )
        if self._is_missing_all(plan, found):
            raise BackendUnavailable(
                f"{self._connection.location}: the index {self._index.name} is being built, "
                f"{self._index.progress:.0%} done",
                backend=BACKEND,
                operation=_OPERATION,
                hint="searches find everything once it is done; memories are not lost",
            )
        sure = found.whole and not found.torn and _has_enough(plan, found)
        epoch = (found.epoch_after or b"").decode() if sure else new_epoch()
        exact = plan.graph is None and shape.index_type == "flat"
        return CandidateSet(epoch, candidates, exact=exact, partial=not found.whole)


def _has_enough(plan: Plan, found: Found) -> bool:
    """Whether as many memories were found as were asked for, or as there are.

    Vectors of one memory stand side by side, so the nearest vectors may be those of fewer memories.
    """
    most = min(found.vectors, MOST_NEIGHBOURS)
    return not found.full or len(found.dense) >= plan.query.dense_limit or plan.count >= most


def _chosen(query: CandidateQuery, found: Found) -> dict[bytes, float]:
    """Both channels united: ids with their cosine in [-1, 1], NaN without a query vector."""
    chosen = dict(_best(found.dense, query.dense_limit))
    for name, cosine in _best(found.lexical, query.lexical_limit).items():
        if name not in chosen or cosine > chosen[name]:
            chosen[name] = cosine
    if query.vector is None:
        return chosen
    if found.vectors > found.documents:
        for name in chosen:
            more = found.rows[name].get(_MORE)
            if more is not None:
                chosen[name] = max(chosen[name], _nearest_of(more, query.vector))
    clipped = {name: 1.0 if cosine > 1.0 else -1.0 for name, cosine in chosen.items() if not -1.0 <= cosine <= 1.0}
    return chosen | clipped


def _best(cosines: dict[bytes, float], limit: int) -> dict[bytes, float]:
    """The `limit` nearest."""
    if len(cosines) <= limit:
        return cosines
    return dict(sorted(cosines.items(), key=lambda item: -item[1])[:limit])


def _nearest_of(raw: bytes, vector: NDArray[np.float32]) -> float:
    """The greatest cosine of a vector to some that stand one behind the other."""
    return float((decode_vectors(raw, len(vector)) @ vector).max())
