"""A hot cache in memory: what a server would hold, without one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from secrets import token_bytes

from router_memory.errors import BackendError, BackendTimeout
from router_memory.types import CacheServerStats, CheckStatus, Finding, Looked

__all__ = ["MemoryHotCache"]


@dataclass(slots=True)
class _User:
    """What belongs to a user."""

    lease: bytes = b""
    epoch: str = ""
    values: dict[bytes, bytes] = field(default_factory=dict)
    until: float = 0.0


class MemoryHotCache:
    """Keeps the contract of a hot cache, for one process.

    Args:
        most_entries: Values of one user; more of them drop those before.
        lease_seconds: How long a purge is remembered.

    Attributes:
        gate: While cleared, calls wait: a server that is stopped.
        failure: Raised by every call while it is set: a server that refuses or is away.
        calls: The names of the calls on the request path so far.
    """

    location = "memory/0"

    def __init__(self, *, most_entries: int = 64, lease_seconds: float = 60.0) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: BackendError | None = None
        self.calls: list[str] = []
        self._most = most_entries
        self._lease_seconds = lease_seconds
        self._users: dict[str, _User] = {}
        self._vectors: dict[bytes, tuple[bytes, float]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to close."""

    async def get(self, user: str, field: bytes, *, vector: bytes | None = None, within: float) -> Looked:
        """From memory."""
        await self._called("get", within)
        held = self._of(user)
        return Looked(held.values.get(field), held.lease, None if vector is None else self._vector(vector))

    async def put(
        self, user: str, field: bytes, value: bytes, *, epoch: str, lease: bytes, ttl: float, within: float
    ) -> bool:
        """Into memory."""
        await self._called("put", within)
        held = self._of(user)
        if held.lease != lease:
            return False
        if held.epoch != epoch or (len(held.values) >= self._most and field not in held.values):
            held.values = {}
        held.epoch = epoch
        held.values[field] = value
        held.until = max(held.until, time.monotonic() + ttl)
        self._users[user] = held
        return True

    async def purge(self, user: str, *, within: float) -> None:
        """Leaves a lease."""
        await self._called("purge", within)
        self._users[user] = _User(lease=token_bytes(8), until=time.monotonic() + self._lease_seconds)

    async def get_vector(self, key: bytes, *, within: float) -> bytes | None:
        """From memory."""
        await self._called("get_vector", within)
        return self._vector(key)

    async def put_vector(self, key: bytes, value: bytes, *, ttl: float, within: float) -> None:
        """Into memory."""
        await self._called("put_vector", within)
        self._vectors[key] = (value, time.monotonic() + ttl)

    async def clear(self) -> int:
        """All of it."""
        self._expire()
        gone = len(self._users) + len(self._vectors)
        self._users.clear()
        self._vectors.clear()
        return gone

    async def stats(self) -> CacheServerStats:
        """Of what is in memory."""
        self._expire()
        values = [value for held in self._users.values() for value in held.values.values()]
        vectors = [value for value, _ in self._vectors.values()]
        size = sum(map(len, [*values, *vectors]))
        return CacheServerStats(
            location=self.location,
            version="memory 0",
            users=sum(bool(held.values) for held in self._users.values()),
            entries=len(values),
            vectors=len(vectors),
            bytes=size,
            limit_bytes=0,
            used_bytes=size,
            policy="noeviction",
            evicted=0,
            expired=0,
            round_trip=0.0,
        )

    async def examine(self) -> tuple[Finding, ...]:
        """Whether it answers."""
        if self.failure is not None:
            return (Finding("cache", CheckStatus.WARN, self.failure.message, self.failure.hint),)
        return (Finding("cache", CheckStatus.OK, f"{self.location} answers"),)

    # -- inside

    def _vector(self, key: bytes) -> bytes | None:
        value, until = self._vectors.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    async def _called(self, name: str, within: float) -> None:
        self.calls.append(name)
        if not self.gate.is_set():
            try:
                async with asyncio.timeout(within):
                    await self.gate.wait()
            except TimeoutError:
                raise BackendTimeout("no answer in time", backend="memory", operation=name) from None
        if self.failure is not None:
            raise self.failure

    def _of(self, user: str) -> _User:
        held = self._users.get(user)
        return held if held is not None and time.monotonic() < held.until else _User()

    def _expire(self) -> None:
        now = time.monotonic()
        self._users = {user: held for user, held in self._users.items() if now < held.until}
        self._vectors = {key: (value, until) for key, (value, until) in self._vectors.items() if now < until}
