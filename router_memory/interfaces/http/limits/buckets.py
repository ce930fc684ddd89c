"""How many requests each user may make a second, and how many at a time. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict
from hashlib import blake2b

__all__ = ["MOST_USERS", "Buckets", "Seats", "key_of"]

MOST_USERS = 65_536
"""Users whose buckets are kept; the one who was quiet for the longest gives way, and would begin with a full one."""


def key_of(user: str) -> bytes:
    """What a user is known by here: 16 bytes, however long the id is, so that the tables stay small."""
    return blake2b(user.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Buckets:
    """A token bucket for each user.

    Args:
        most: How many users are kept.
    """

    def __init__(self, most: int = MOST_USERS) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, user: bytes, now: float, *, rate: float, burst: int) -> float:
        """Takes a token.

        Args:
            user: Whose; see `key_of`.
            now: Seconds on any clock that does not go back.
            rate: Tokens a second, > 0.
            burst: Most tokens that gather; 0 for those of a second, at least one.

        Returns:
            0 where there was one, else the seconds until there will be.
        """
        most = float(burst or max(math.ceil(rate), 1))
        tokens, at = self._kept.get(user, (most, now))
        tokens = min(tokens + (now - at) * rate, most)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / rate
        self._kept[user] = (tokens if wait else tokens - 1, now)
        self._kept.move_to_end(user)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return wait


class Seats:
    """How many requests of each user run. Holds those alone who have one."""

    def __init__(self) -> None:
        self._taken: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, user: bytes, most: int) -> bool:
        """Takes one of the user's seats, unless so many are taken. `leave` gives it back."""
        taken = self._taken.get(user, 0)
        if taken >= most:
            return False
        self._taken[user] = taken + 1
        return True

    def leave(self, user: bytes) -> None:
        """Gives one back."""
        taken = self._taken[user] - 1
        if taken:
            self._taken[user] = taken
        else:
            del self._taken[user]
