"""What the hot cache says: where an answer came from, what a server holds, what a process has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["CacheLevel", "CacheServerStats", "CacheStats", "LatencySummary", "Looked"]


class CacheLevel(StrEnum):
    """Which level of the hot cache answered."""

    OFF = "off"
    """There is none."""
    MISS = "miss"
    """None did: the candidates were looked up."""
    LOCAL = "level 1"
    """The one in the process."""
    SHARED = "level 2"
    """The one on a server."""
    JOINED = "joined"
    """None did: an equal question that was being answered at the same moment did."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look into the shared cache brought.

    Attributes:
        value: ``None`` when there is none.
        lease: What a `put` of the same user must show; empty for a user that was not purged lately.
        vector: Of the key that was asked for besides; ``None`` when there is none.
    """

    value: bytes | None
    lease: bytes = b""
    vector: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheServerStats:
    """What the shared cache's server holds.

    Attributes:
        location: ``host:port/database``.
        version: Of the server, such as ``valkey 9.1.2``.
        users: Users with values.
        entries: Their values.
        vectors: Query embeddings.
        bytes: What the keys under the prefix take in the server, estimated from a sample where there are many.
        limit_bytes: The server's ``maxmemory``, 0 for none.
        used_bytes: What the whole server uses.
        policy: Its ``maxmemory-policy``.
        evicted, expired: Keys of the whole server since its start.
        round_trip: Seconds of a small read, the median of a few.
    """

    location: str
    version: str
    users: int
    entries: int
    vectors: int
    bytes: int
    limit_bytes: int
    used_bytes: int
    policy: str
    evicted: int
    expired: int
    round_trip: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Times of one kind of operation since the start, in seconds.

    Attributes:
        count: How many.
        total: Their sum.
        p50, p95, p99: Upper bounds, of the latest few thousand.
    """

    count: int = 0
    total: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What the hot cache of this process has seen since it was opened.

    Attributes:
        coherence: ``strict`` or ``bounded``; empty when the cache is off.
        entries, vectors, bytes: Answers and query embeddings that level 1 holds, and what they take, estimated.
        counts: Events by name, see docs/cache.md.
        latencies: By name: ``level 1``, ``level 2``, ``miss``, ``look``, ``fill``.
        breaker: ``closed``, ``open`` while the shared cache is kept off the path, empty without one.
    """

    coherence: str = ""
    entries: int = 0
    vectors: int = 0
    bytes: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    latencies: Mapping[str, LatencySummary] = field(default_factory=dict)
    breaker: str = ""
