"""Memories that searches have decoded: kept while there is room, and weighed so that long texts count as such.

What is let go costs time and nothing else: it is read again when it is found again.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from cachetools import LRUCache

from router_memory.types import Document, MemoryRecord

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

__all__ = ["Known", "KnownByUser", "Memory"]

Memory = tuple[MemoryRecord, Document]

_RECORD_BYTES, _STEM_BYTES, _TEXT_TIMES = 1_600, 130, 2
"""About twice what tracemalloc counts of 20 to 2,000 characters with 2 to 150 stems; with 200 and 15 it is 4,000.
The other half is what the allocator keeps between them."""


class Known:
    """Decoded memories of one user by record number. Threads may share it."""

    __slots__ = ("_bytes", "_lock", "_memories")

    def __init__(self, memories: Mapping[int, Memory] | None = None) -> None:
        self._memories: dict[int, Memory] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        if memories:
            self.add(memories)

    def __len__(self) -> int:
        return len(self._memories)

    @property
    def bytes(self) -> int:
        """How much memory they take, roughly."""
        return self._bytes

    def get(self, number: int) -> Memory | None:
        """The memory of that record, ``None`` when it is not known."""
        return self._memories.get(number)

    def add(self, memories: Mapping[int, Memory]) -> None:
        """Keeps more memories."""
        with self._lock:
            self._bytes += sum(_weight(memory) for number, memory in memories.items() if number not in self._memories)
            self._memories.update(memories)

    def only(self, numbers: Container[int]) -> Known:
        """Those of the records as a new one; this one stays as it is."""
        with self._lock:
            return Known({number: memory for number, memory in self._memories.items() if number in numbers})

    def shrink(self, most_bytes: int) -> None:
        """Lets go of those decoded first until the rest takes no more."""
        with self._lock:
            while self._bytes > most_bytes and self._memories:
                self._bytes -= _weight(self._memories.pop(next(iter(self._memories))))

    def clear(self) -> None:
        """Lets go of all."""
        with self._lock:
            self._memories.clear()
            self._bytes = 0


class KnownByUser(LRUCache[int, Known]):
    """Decoded memories by the user's key. What has to go is emptied, wherever a snapshot still holds it.

    Args:
        most_bytes: Of all of them together.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes, getsizeof=_bytes)

    def popitem(self) -> tuple[int, Known]:
        """The one used longest ago, emptied."""
        user, known = super().popitem()
        known.clear()
        return user, known

    def searched(self, user: int, known: Known) -> None:
        """Weighs a user's anew after a search. Where they alone are too much, half the room is theirs."""
        before = self.pop(user, None)  # its size is taken when it is put in
        if before is not None and before is not known:
            before.clear()
        if known.bytes > self.maxsize:
            known.shrink(int(self.maxsize) // 2)
        self[user] = known


def _bytes(known: Known) -> int:
    return known.bytes


def _weight(memory: Memory) -> int:
    record, document = memory
    return _RECORD_BYTES + _TEXT_TIMES * sys.getsizeof(record.content) + _STEM_BYTES * len(document.stems)
