"""Level 1: answers in the process, bounded by bytes, number and time."""

from __future__ import annotations

import random
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from router_memory.cache.codec import weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.cache.meters import Meters
    from router_memory.types import Retrieval, Scope, SearchQuery

__all__ = ["LocalCache", "jittered"]

_JITTER = 0.1


def jittered(ttl: float) -> float:
    """A time to live up to a tenth shorter, so that what was kept together does not end together."""
    return ttl * (1.0 - _JITTER * random.random())  # noqa: S311 - no secret


class LocalCache:
    """Answers by question. The least recently used one makes room.

    Args:
        most_bytes: Most memory they take, roughly; 0 keeps nothing.
        most_entries: How many there may be, ≥ 1.
        ttl: Seconds after which one is dropped.
        meters: Where evictions are counted.
        timer: The clock.
    """

    def __init__(
        self,
        *,
        most_bytes: int,
        most_entries: int,
        ttl: float,
        meters: Meters,
        timer: Callable[[], float] = monotonic,
    ) -> None:
        self._most_entries = most_entries
        self._users: dict[str, set[SearchQuery]] = {}
        self._entries: _Entries | None = None
        if most_bytes:
            self._entries = _Entries(
                most_bytes, ttl=ttl, timer=timer, weigh=weight, evicted=self._evicted, expired=self._left
            )
        self._meters = meters

    def __len__(self) -> int:
        return 0 if self._entries is None else len(self._entries)

    @property
    def bytes(self) -> int:
        """What the entries take, roughly."""
        return 0 if self._entries is None else int(self._entries.currsize)

    def get(self, query: SearchQuery) -> Retrieval | None:
        """The answer to a question, of whatever state of the data; ``None`` when there is none."""
        return None if self._entries is None else self._entries.get(query)

    def put(self, query: SearchQuery, retrieval: Retrieval) -> None:
        """Keeps an answer, unless it is larger than everything may be."""
        if self._entries is None:
            return
        self.drop(query)
        while len(self._entries) >= self._most_entries:
            self._entries.popitem()
        try:
            self._entries[query] = retrieval
        except ValueError:  # cachetools says that it is too large
            return
        self._users.setdefault(query.scope.user_id, set()).add(query)

    def drop(self, query: SearchQuery) -> None:
        """Takes an answer away."""
        if self._entries is not None and self._entries.pop(query, None) is not None:
            self._left(query)

    def purge(self, scope: Scope) -> int:
        """Takes away everything of a user, what is past its time included. Returns how many answers there were."""
        if self._entries is None:
            return 0
        self._entries.expire()
        queries = tuple(self._users.get(scope.user_id, ()))
        for query in queries:
            self.drop(query)
        return len(queries)

    def clear(self) -> int:
        """Takes away everything. Returns how many answers there were."""
        count = len(self)
        if self._entries is not None:
            self._entries.expire()
            for query in tuple(self._entries):
                self.drop(query)
        return count

    def _evicted(self, query: SearchQuery) -> None:
        self._meters.count("evicted")
        self._left(query)

    def _left(self, query: SearchQuery) -> None:
        """Takes note that an answer is gone."""
        queries = self._users[query.scope.user_id]
        queries.discard(query)
        if not queries:
            del self._users[query.scope.user_id]


class _Entries(TLRUCache["SearchQuery", "Retrieval"]):
    """The entries themselves. Says what left for want of room, and what for its age."""

    def __init__(
        self,
        most: int,
        *,
        ttl: float,
        timer: Callable[[], float],
        weigh: Callable[[Retrieval], int],
        evicted: Callable[[SearchQuery], None],
        expired: Callable[[SearchQuery], None],
    ) -> None:
        super().__init__(most, ttu=lambda _key, _value, now: now + jittered(ttl), timer=timer, getsizeof=weigh)
        self._evicted = evicted
        self._expired = expired

    def popitem(self) -> tuple[SearchQuery, Retrieval]:
        """Makes room."""
        left = super().popitem()
        self._evicted(left[0])
        return left

    def expire(self, time: float | None = None) -> list[tuple[SearchQuery, Retrieval]]:
        """Drops what is past its time."""
        left = list(super().expire(time))
        for query, _ in left:
            self._expired(query)
        return left
