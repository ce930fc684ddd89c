"""The names of everything that is stored, and the digests that stand for texts in queries.

    {prefix}{USER}:ID        a memory                hash, indexed
    {prefix}{USER}#N:ID      its vector N ≥ 1        hash, indexed; long memories have several vectors
    {prefix}meta:{USER}      statistics and epoch    hash
    {prefix}order:{USER}     memories by age         sorted set, all scores 0
    {prefix}schema           what all of it holds    hash

USER is the digest of the user id and, being in braces, the hash tag: all keys of a user share one slot.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router_memory.types import Scope

__all__ = ["Keys", "schema_key"]

_STEM_BYTES = 9
_TAG_CHARACTERS = 12  # of base 64


def schema_key(prefix: str) -> str:
    """Where it is written what the data under a prefix are."""
    return f"{prefix}schema"


@dataclass(frozen=True)
class Keys:
    """The keys of one user.

    Attributes:
        prefix: Of the collection.
        user: The digest of the user id.
    """

    prefix: str
    user: str

    @classmethod
    def of(cls, prefix: str, scope: Scope) -> Keys:
        """The keys of a scope's user."""
        return cls(prefix, scope.user_digest)

    @cached_property
    def base(self) -> str:
        """What the keys of the user's memories start with, and no key of anybody else's."""
        return f"{self.prefix}{{{self.user}}}"

    @cached_property
    def meta(self) -> str:
        """Statistics and epoch."""
        return f"{self.prefix}meta:{{{self.user}}}"

    @cached_property
    def order(self) -> str:
        """The memories by age."""
        return f"{self.prefix}order:{{{self.user}}}"

    @cached_property
    def _stems(self) -> blake2b:
        return blake2b(digest_size=_STEM_BYTES, key=self.user.encode())

    def stem_tags(self, stems: Iterable[str]) -> list[str]:
        """What stands for stems of the user in the index: 72 bits over both, 12 characters.

        Two stems of one user that collide make a candidate too many, never a foreign one: every query names the
        user as well.
        """
        digests = []
        for stem in stems:
            state = self._stems.copy()
            state.update(stem.encode())
            digests.append(state.digest())
        tags = urlsafe_b64encode(b"".join(digests)).decode()
        return [tags[start : start + _TAG_CHARACTERS] for start in range(0, len(tags), _TAG_CHARACTERS)]

    def record(self, id: str) -> str:
        """The memory of that id."""
        return f"{self.base}:{id}"

    def id_of(self, key: str) -> str | None:
        """The id of the memory that a key of `base` belongs to; ``None`` for a key of another user."""
        if not key.startswith(self.base):
            return None
        mark, _, found = key[len(self.base) :].partition(":")
        return found if not mark or (mark[0] == "#" and mark[1:].isdigit()) else None
