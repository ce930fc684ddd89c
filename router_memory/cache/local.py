"""Level 1: answers in the process, bounded by bytes, number and time."""

from __future__ import annotations

import random
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from router_memory.cache.codec import weight
from router_memory.cache.keys import Key, key_of

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
        self._users: dict[object, set[Key]] = {}
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
        if self._entries is None:
            return None
        try:
            return self._entries[key_of(query)]
        except KeyError:
            return None

    def put(self, query: SearchQuery, retrieval: Retrieval) -> None:
        """Keeps an answer, unless it is larger than everything may be."""
        if self._entries is None:
            return
        key = key_of(query)
        self._drop(key)
        while len(self._entries) >= self._most_entries:
            self._entries.popitem()
        try:
            self._entries[key] = retrieval
        except ValueError:  # cachetools says that it is too large
            return
        self._users.setdefault(key[0], set()).add(key)

    def drop(self, query: SearchQuery) -> None:
        """Takes an answer away."""
        self._drop(key_of(query))

    def purge(self, scope: Scope) -> int:
        """Takes away everything of a user, what is past its time included. Returns how many answers there were."""
        if self._entries is None:
            return 0
        self._entries.expire()
        keys = tuple(self._users.get(scope.user_id, ()))
        for key in keys:
            self._drop(key)
        return len(keys)

    def clear(self) -> int:
        """Takes away everything. Returns how many answers there were."""
        count = len(self)
        if self._entries is not None:
            self._entries.expire()
            for key in tuple(self._entries):
                self._drop(key)
        return count

    def _drop(self, key: Key) -> None:
        if self._entries is not None and self._entries.pop(key, None) is not None:
            self._left(key)

    def _evicted(self, key: Key) -> None:
        self._meters.count("evicted")
        self._left(key)

    def _left(self, key: Key) -> None:
        """Takes note that an answer is gone."""
        keys = self._users[key[0]]
        keys.discard(key)
        if not keys:
            del self._users[key[0]]


class _Entries(TLRUCache[Key, "Retrieval"]):
    """The entries themselves. Says what left for want of room, and what for its age."""

    def __init__(
        self,
        most: int,
        *,
        ttl: float,
        timer: Callable[[], float],
        weigh: Callable[[Retrieval], int],
        evicted: Callable[[Key], None],
        expired: Callable[[Key], None],
    ) -> None:
        super().__init__(most, ttu=lambda _key, _value, now: now + jittered(ttl), timer=timer, getsizeof=weigh)
        self._evicted = evicted
        self._expired = expired

    def popitem(self) -> tuple[Key, Retrieval]:
        """Makes room."""
        left = super().popitem()
        self._evicted(left[0])
        return left

    def expire(self, time: float | None = None) -> list[tuple[Key, Retrieval]]:
        """Drops what is past its time."""
        left = list(super().expire(time))
        for key, _ in left:
            self._expired(key)
        return left
