"""Memories that searches have decoded, kept for a while and while there is room.

What the server sends is always compared with what was decoded, byte by byte: nothing that is out of date is given, and
what is let go costs the time to decode it again. A user in a conversation is found the same memories again and again.
What another process has forgotten is not sent any more, so only time takes it out of here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from sys import getsizeof
from time import monotonic
from typing import TYPE_CHECKING

from cachetools import TLRUCache

from router_memory.backends.valkey.records import RECORD_FIELDS, decode_memories

if TYPE_CHECKING:
    from router_memory.backends.valkey.records import Hash, StoredMemory
    from router_memory.types import Scope

__all__ = ["DECODED_BYTES", "KEPT_SECONDS", "Decoded"]

DECODED_BYTES = 64 << 20
"""What all of them may take: about 17,000 memories of 200 characters."""
KEPT_SECONDS = 600.0
"""How long a user's are kept from the first of them on, however often the user is searched."""

_MEMORY, _STATE = (field.encode() for field in RECORD_FIELDS)
_RECORD_BYTES, _STEM_BYTES = 1_200, 56
"""What a memory takes beside its bytes, its text and its dict of stems, and the string of a stem in that dict, which
may be shared with others. Beside tracemalloc, for 20 to 20,000 characters: never less than 0.95 of what it counts."""

_Row = tuple[bytes, bytes, "StoredMemory", int]
"""What the server sent of a memory, the memory, and what they take in bytes."""


class _User:
    """Decoded memories of one user by the bytes of their ids, those decoded first in front.

    Args:
        until: When to let go of all of them, on the clock of `Decoded`.
    """

    __slots__ = ("rows", "until", "weight")

    def __init__(self, until: float) -> None:
        self.rows: dict[bytes, _Row] = {}
        self.until = until
        self.weight = 1

    def keep(self, name: bytes, memory: bytes, state: bytes, stored: StoredMemory) -> None:
        """Keeps a memory in place of what was known of that id."""
        self.drop(name)
        weight = _weight(memory, stored)
        self.rows[name] = (memory, state, stored, weight)
        self.weight += weight

    def drop(self, name: bytes) -> None:
        """Lets go of what is known of that id."""
        row = self.rows.pop(name, None)
        if row is not None:
            self.weight -= row[3]

    def shrink(self, most_bytes: int) -> None:
        """Lets go of those decoded first until the rest takes no more."""
        over, going = self.weight - most_bytes, []
        for name, row in self.rows.items():  # once: a dict walks past all that was taken out in front each time
            if over <= 0:
                break
            going.append(name)
            over -= row[3]
        for name in going:
            self.drop(name)


class Decoded:
    """Decodes memories, each once as long as it stays as it is and there is room for it.

    Args:
        most_bytes: What they may take, roughly; 0 keeps none. One user's may take half of it.
        timer: A clock in seconds.
    """

    def __init__(self, most_bytes: int = DECODED_BYTES, *, timer: Callable[[], float] = monotonic) -> None:
        self._half = most_bytes // 2
        self._timer = timer
        self._users: TLRUCache[str, _User, float] = TLRUCache(most_bytes, ttu=_until, timer=timer, getsizeof=_of_user)
        self._partings = 0

    def __len__(self) -> int:
        """How many memories are kept."""
        return sum(len(user.rows) for user in self._users.values())

    @property
    def weight(self) -> int:
        """How many bytes they take, roughly."""
        return int(self._users.currsize)

    @property
    def partings(self) -> int:
        """How often `let_go` was called."""
        return self._partings

    def memories(
        self, scope: Scope, names: Sequence[bytes], rows: Mapping[bytes, Hash], *, partings: int | None = None
    ) -> list[StoredMemory]:
        """Memories of a user in the order of their ids.

        Args:
            scope: What was asked for.
            names: Ids.
            rows: By id the fields of `RECORD_FIELDS` that are there.
            partings: What `partings` was before the server was asked, if it was asked: when somebody was let go since,
                these may have been forgotten meanwhile, and none of them is kept.

        Raises:
            Damaged: A hash holds what the store never writes.
            Misfiled: A memory belongs to another project than the one asked for.
        """
        project = scope.project
        user = self._users.get(scope.user_digest) or _User(self._timer() + KEPT_SECONDS)
        known = user.rows
        stored: list[StoredMemory] = []
        unknown: list[bytes] = []
        for name in names:
            kept, row = known.get(name), rows[name]
            if (
                kept is not None
                and kept[0] == row.get(_MEMORY)
                and kept[1] == row.get(_STATE)
                and (project is None or kept[2][0].scope.project == project)
            ):
                stored.append(kept[2])
            else:
                unknown.append(name)
        if not unknown:
            return stored
        fresh = decode_memories(scope, [(name.decode(), rows[name]) for name in unknown])
        if self._half and partings in (None, self._partings):
            for name, memory in zip(unknown, fresh, strict=True):
                user.keep(name, rows[name][_MEMORY], rows[name][_STATE], memory)
            self._weigh(scope.user_digest, user)
        decoded, others = dict(zip(unknown, fresh, strict=True)), iter(stored)
        return [decoded[name] if name in decoded else next(others) for name in names]

    def let_go(self, scope: Scope) -> None:
        """Keeps nothing of a user any more, nor of what searches bring that are under way."""
        self._partings += 1
        self.discard(scope)

    def discard(self, scope: Scope) -> None:
        """Keeps nothing of a user any more that was found so far."""
        self._users.expire()  # those whose time is over are there until then, and cannot be taken out
        self._users.pop(scope.user_digest, None)

    def _weigh(self, digest: str, user: _User) -> None:
        """Puts a user's memories in with what they take now."""
        self._users.pop(digest, None)  # what it took is counted when it is put in
        user.shrink(self._half)
        self._users[digest] = user


def _of_user(user: _User) -> int:
    return user.weight


def _until(_digest: str, user: _User, _now: float) -> float:
    return user.until


def _weight(memory: bytes, stored: StoredMemory) -> int:
    record, document, _ = stored
    stems = document.stems
    return _RECORD_BYTES + len(memory) + getsizeof(record.content) + getsizeof(stems) + _STEM_BYTES * len(stems)
