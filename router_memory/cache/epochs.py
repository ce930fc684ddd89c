"""Which state of a user's data is the current one."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

if TYPE_CHECKING:
    from router_memory.protocols import MemoryStore
    from router_memory.types import Scope

__all__ = ["Epochs", "Mark"]

_USERS = 100_000
"""Most users whose epochs are remembered, or whose writes are told apart."""


class Mark(NamedTuple):
    """A moment before something of a user is read.

    Attributes:
        at: On the clock of `time.monotonic`.
        writes: Tells whether this process has written for the user since.
    """

    at: float
    writes: int


class Epochs:
    """Reads users' epochs, or remembers them for a bounded time.

    Args:
        store: Where they are.
        max_age: For how many seconds an epoch may be taken for the current one after it was asked for. 0 reads it
            each time, so that every write that was acknowledged before is seen, whoever made it.
    """

    def __init__(self, store: MemoryStore, *, max_age: float = 0.0) -> None:
        self._store = store
        self._max_age = max_age
        self._known: LRUCache[str, tuple[str, float]] = LRUCache(_USERS)
        self._written: dict[str, int] = {}
        self._others_written = 0
        self._writes = 0

    async def current(self, scope: Scope) -> str:
        """The user's epoch, current at some moment since the call or, if it is remembered, `max_age` before it.

        Raises:
            BackendError: As the store does.
        """
        known = self.remembered(scope)
        if known is not None:
            return known
        mark = self.mark(scope)
        epoch = await self._store.epoch(scope)
        self.note(scope, epoch, mark)
        return epoch

    async def at_hand(self, scope: Scope) -> str | None:
        """The same where it costs no round trip, else ``None``.

        Raises:
            BackendError: As the store does.
        """
        return await self.current(scope) if self._store.epoch_is_inline else self.remembered(scope)

    def remembered(self, scope: Scope) -> str | None:
        """The user's epoch if it is remembered and not too old."""
        if not self._max_age:
            return None
        known = self._known.get(scope.user_id)
        return known[0] if known is not None and monotonic() - known[1] < self._max_age else None

    def mark(self, scope: Scope) -> Mark:
        """The moment before a read."""
        return Mark(monotonic(), self._writes_of(scope))

    def unchanged(self, scope: Scope, mark: Mark) -> bool:
        """Whether this process has written nothing of the user since then."""
        return self._writes_of(scope) == mark.writes

    def note(self, scope: Scope, epoch: str, mark: Mark) -> None:
        """Remembers an epoch that was read after `mark`, unless this process has written since."""
        known = self._known.get(scope.user_id)
        if self._max_age and self.unchanged(scope, mark) and (known is None or known[1] <= mark.at):
            self._known[scope.user_id] = epoch, mark.at

    def wrote(self, scope: Scope) -> None:
        """Forgets the epoch of a user for whom this process wrote; reads under way are not remembered either."""
        self._known.pop(scope.user_id, None)
        self._writes += 1
        if len(self._written) >= _USERS:  # who is not among them counts as written just now
            self._written.clear()
            self._others_written = self._writes
        self._written[scope.user_id] = self._writes

    def _writes_of(self, scope: Scope) -> int:
        return self._written.get(scope.user_id, self._others_written)
