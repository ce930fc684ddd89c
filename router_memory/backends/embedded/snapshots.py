"""Which snapshots are held, and how they are kept in step with the file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from cachetools import LRUCache

from router_memory.backends.embedded.snapshot import Snapshot, estimate_bytes, load

if TYPE_CHECKING:
    import sqlite3

    from router_memory.backends.embedded.owners import UserState

__all__ = ["Snapshots"]

_STRIPES = 64


class Snapshots:
    """The snapshots used last, up to a number of bytes over all users.

    Every search hands in the user's state as the file has it now. A snapshot of another epoch is
    extended when memories were only added since, and read anew otherwise; so the writes of another
    process are seen at once, and an access count, which changes no epoch, may lag in what is returned.

    Args:
        cache_bytes: Most bytes held.
        dimension: Of the vectors.
    """

    def __init__(self, cache_bytes: int, dimension: int) -> None:
        self._dimension = dimension
        self._cache: LRUCache[int, Snapshot] = LRUCache(cache_bytes, getsizeof=self._size)
        self._mutex = threading.Lock()
        self._stripes = [threading.Lock() for _ in range(_STRIPES)]

    @property
    def bytes(self) -> int:
        """How much is held, roughly."""
        return int(self._cache.currsize)

    def _size(self, snapshot: Snapshot) -> int:
        return estimate_bytes(snapshot.state, self._dimension)

    def lock(self, digest: str) -> threading.Lock:
        """To be held from before the transaction that reads a user's state until after `current`."""
        return self._stripes[int(digest[:4], 16) % _STRIPES]

    def fits(self, state: UserState) -> bool:
        """Whether a snapshot of the user could be held at all."""
        return estimate_bytes(state, self._dimension) <= self._cache.maxsize

    def current(self, connection: sqlite3.Connection, state: UserState) -> Snapshot:
        """The snapshot of `state`, inside the transaction that read it and under the user's `lock`."""
        with self._mutex:
            held = self._cache.get(state.key)
        if held is not None and held.state.epoch == state.epoch:
            return held
        if held is not None and held.state.rewrites == state.rewrites:
            fresh = held.extended(connection, state)
        else:
            fresh = load(connection, state, self._dimension)
        with self._mutex:
            self._cache.pop(state.key, None)
            if self._size(fresh) <= self._cache.maxsize:
                self._cache[state.key] = fresh
        return fresh

    def drop(self) -> None:
        """Frees them all."""
        with self._mutex:
            self._cache.clear()
