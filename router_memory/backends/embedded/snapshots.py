"""Which snapshots are held, and how they are kept in step with the file."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cachetools import LRUCache

from router_memory.backends.embedded.decoded import KnownByUser
from router_memory.backends.embedded.snapshot import Snapshot, estimate_bytes, load

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from router_memory.backends.embedded.owners import UserState

__all__ = ["Snapshots"]

_AT_ONCE = 1_000
"""Reading up to as many vectors takes no longer than a search."""

_DECODED_SHARE = 12
"""One part in so many of the room is for decoded memories: what is hot then takes less than 1.3 times its vectors,
measured by `bench.scale`, while a few users of some hundred memories each find all of theirs decoded."""


class Snapshots:
    """The snapshots used last, up to a number of bytes over all users.

    Every search hands in the user's state as the file has it now. A snapshot of another epoch is
    extended when memories were only added since, and otherwise reads what did change; so the writes of
    another process are seen at once, and an access count, which changes no epoch, may lag in what is
    returned.

    Args:
        cache_bytes: Most bytes held: vectors, and in a twelfth of it memories decoded last.
        dimension: Of the vectors.
    """

    def __init__(self, cache_bytes: int, dimension: int) -> None:
        self._dimension = dimension
        for_decoded = cache_bytes // _DECODED_SHARE
        self._cache: LRUCache[int, Snapshot] = LRUCache(cache_bytes - for_decoded, getsizeof=_size)
        self._decoded = KnownByUser(for_decoded)
        self._mutex = threading.Lock()
        self._claimed: set[str] = set()

    @property
    def bytes(self) -> int:
        """How much is held, roughly."""
        return int(self._cache.currsize + self._decoded.currsize)

    @property
    def vectors(self) -> int:
        """How many vectors are held."""
        with self._mutex:
            return sum(snapshot.state.vectors for snapshot in self._cache.values())

    @contextmanager
    def claim(self, digest: str) -> Iterator[bool]:
        """Whether the caller alone may bring the user's snapshot up to date. Waits for nobody.

        To be held from before the transaction that reads the user's state until after `current`: a state
        older than the snapshot's cannot bring it up to date.
        """
        with self._mutex:
            alone = digest not in self._claimed
            self._claimed.add(digest)
        try:
            yield alone
        finally:
            if alone:
                with self._mutex:
                    self._claimed.discard(digest)

    def fits(self, state: UserState) -> bool:
        """Whether a snapshot of the user could be held at all."""
        return estimate_bytes(state, self._dimension) <= self._cache.maxsize

    def current(
        self, connection: sqlite3.Connection, state: UserState, *, alone: bool, patient: bool
    ) -> Snapshot | None:
        """The snapshot of `state`, inside the transaction that read it.

        Args:
            connection: Inside that transaction.
            state: The user.
            alone: What `claim` gave.
            patient: Whether the caller waits for a snapshot that takes long to make.

        Returns:
            ``None`` when it would have to be made and may not.
        """
        held = self._held(state)
        if held is not None and held.state.epoch == state.epoch:
            return held
        appended = held is not None and held.state.rewrites == state.rewrites
        work = state.vectors - held.state.vectors if held is not None and appended else state.vectors
        if not alone or not (patient or work <= _AT_ONCE):
            return None
        if held is None:
            fresh = load(connection, state, self._dimension)
        elif appended:
            fresh = held.extended(connection, state)
        else:
            fresh = held.rewritten(connection, state)
        with self._mutex:
            self._cache.pop(state.key, None)
            if fresh.bytes <= self._cache.maxsize:
                self._cache[state.key] = fresh
        return fresh

    def searched(self, snapshot: Snapshot) -> None:
        """Counts what a search has decoded, and lets go of what was decoded longest ago."""
        with self._mutex:
            self._decoded.searched(snapshot.state.key, snapshot.known)

    def _held(self, state: UserState) -> Snapshot | None:
        with self._mutex:
            held: Snapshot | None = self._cache.get(state.key)
        return held

    def drop(self) -> None:
        """Frees them all."""
        with self._mutex:
            self._cache.clear()
            self._decoded.clear()


def _size(snapshot: Snapshot) -> int:
    return snapshot.bytes
