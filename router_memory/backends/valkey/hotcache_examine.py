"""What the cache's server holds, and what an operator should know of it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from secrets import token_bytes, token_hex
from statistics import mean, median
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.backends.valkey.facts import encryption, server_facts, total, version_of
from router_memory.backends.valkey.translate import of_wrong_type
from router_memory.errors import BackendError, BackendRejected, BackendUnavailable
from router_memory.types import CacheServerStats, CheckStatus, Finding, size_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from router_memory.backends.valkey.client import Argument, Reply
    from router_memory.backends.valkey.connection import Connection
    from router_memory.backends.valkey.facts import Facts
    from router_memory.protocols import HotCache

__all__ = ["CacheExamination", "cache_stats"]

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL

_SAMPLE = 250
"""Keys of each kind whose size is asked for."""
_ASKED_AT_ONCE = 64
_ROUNDS = 5
_SLOW_SECONDS = 0.005
_NOBODY = bytes(32)
_THROWAWAY_SECONDS = 10.0


async def cache_stats(cache: HotCache, connection: Connection, prefix: str) -> CacheServerStats:
    """See `HotCache.stats`.

    Args:
        cache: Open.
        connection: Its connection.
        prefix: Of its keys.

    Raises:
        BackendError: The server cannot be asked.
    """
    operation = "cache stats"
    census = _Census(connection, operation)
    of_users, of_vectors = f"{prefix}{{".encode(), f"{prefix}v:".encode()
    async for keys in connection.scan(operation, f"{prefix}*"):
        await census.add_users([key for key in keys if key.startswith(of_users)])
        census.add_vectors([key for key in keys if key.startswith(of_vectors)])
    facts = await server_facts(connection, operation)
    limits = [int(node.get("maxmemory", 0)) for node in facts.values()]
    return CacheServerStats(
        location=connection.location,
        version=_versions(facts),
        users=census.users,
        entries=census.entries,
        vectors=census.hold_vectors.count,
        bytes=await census.size(),
        limit_bytes=sum(limits) if all(limits) else 0,
        used_bytes=total(facts, "used_memory"),
        policy=", ".join(_policies(facts)),
        evicted=total(facts, "evicted_keys"),
        expired=total(facts, "expired_keys"),
        round_trip=await _round_trip(cache, connection),
    )


@dataclass(slots=True)
class _Sample:
    """Some of the keys that were seen, each as likely as any other."""

    count: int = 0
    keys: list[bytes] = field(default_factory=list)

    def add(self, key: bytes) -> None:
        self.count += 1
        if len(self.keys) < _SAMPLE:
            self.keys.append(key)
        elif (place := random.randrange(self.count)) < _SAMPLE:  # noqa: S311  # it guards nothing
            self.keys[place] = key


@dataclass(slots=True)
class _Census:
    """Counts what a walk comes by."""

    connection: Connection
    operation: str
    users: int = 0
    entries: int = 0
    hold_users: _Sample = field(default_factory=_Sample)
    hold_vectors: _Sample = field(default_factory=_Sample)

    async def add_users(self, keys: Sequence[bytes]) -> None:
        commands: list[tuple[Argument, ...]] = []
        for key in keys:
            self.hold_users.add(key)
            commands += [("HLEN", key), ("HEXISTS", key, "epoch"), ("HEXISTS", key, "lease")]
        replies = [_number(reply) for reply in await self._ask(commands)]
        for length, *bookkeeping in zip(replies[::3], replies[1::3], replies[2::3], strict=True):
            held = max(0, length - sum(bookkeeping))
            self.users += held > 0
            self.entries += held

    def add_vectors(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self.hold_vectors.add(key)

    async def size(self) -> int:
        """Of all keys, as far as those in the samples tell."""
        total = 0.0
        for sample in (self.hold_users, self.hold_vectors):
            commands = [("MEMORY", "USAGE", key, "SAMPLES", "0") for key in sample.keys]
            sizes = [_number(reply) for reply in await self._ask(commands) if reply is not None]
            total += mean(sizes) * sample.count if sizes else 0.0
        return round(total)

    async def _ask(self, commands: Sequence[tuple[Argument, ...]]) -> list[Reply]:
        """The replies to commands with the key in second place, or behind USAGE."""
        replies: list[Reply] = []
        for start in range(0, len(commands), _ASKED_AT_ONCE):
            group = commands[start : start + _ASKED_AT_ONCE]
            if self.connection.cluster:
                replies += await asyncio.gather(*(self._ask_node(command) for command in group))
            else:
                replies += await self.connection.pipeline(self.operation, group, key="")
        return replies

    async def _ask_node(self, command: tuple[Argument, ...]) -> Reply:
        key = next(part for part in command if isinstance(part, bytes))
        try:
            return await self.connection.command(self.operation, *command, key=key.decode())
        except BackendRejected as error:
            return error


def _number(reply: Reply) -> int:
    """A count, 0 for a key that is not the cache's.

    Raises:
        BackendError: The reply is one.
    """
    if isinstance(reply, BackendError) and not of_wrong_type(reply):
        raise reply
    return reply if isinstance(reply, int) else 0


@dataclass(frozen=True, slots=True)
class CacheExamination:
    """Looks at everything once. The names of its findings begin with ``cache``.

    Attributes:
        cache: What is looked at; it need not be open.
        connection: Its connection.
        prefix: Of its keys.
        remove: Takes away the values of a user, and of a vector's key, with all that a purge leaves.
    """

    cache: HotCache
    connection: Connection
    prefix: str
    remove: Callable[[str, bytes], Awaitable[None]]

    async def findings(self) -> tuple[Finding, ...]:
        """See `HotCache.examine`. A cache that does not work is no failure, for requests go on without it."""
        try:
            await self.connection.open()
            await self.connection.command("examine cache", "ECHO", "router-memory")
        except BackendError as error:
            name = "cache" if isinstance(error, BackendUnavailable) else "cache login"
            finding = f"{error.message}; requests go on without it"
            return (Finding(name, WARN, finding, error.hint, {"error": type(error).__name__}),)
        found = [
            Finding("cache", OK, f"{self.connection.location} answers"),
            encryption(self.connection, "cache encryption"),
            await self._rights(),
        ]
        found += await self._server()
        found.append(await self._latency())
        return tuple(found)

    async def _rights(self) -> Finding:
        """Keeps, reads and purges what is nobody's, and leaves nothing."""
        user, key, value = token_hex(16), token_bytes(32), token_bytes(64)
        limit = self.connection.timeout
        name, doing = "cache rights", "read"
        try:
            lease = (await self.cache.get(user, key, within=limit)).lease
            doing = "write"
            kept = await self.cache.put(user, key, value, epoch="", lease=lease, ttl=_THROWAWAY_SECONDS, within=limit)
            await self.cache.put_vector(key, value, ttl=_THROWAWAY_SECONDS, within=limit)
            doing = "read what was written"
            same = (await self.cache.get(user, key, within=limit)).value == value
            same = same and await self.cache.get_vector(key, within=limit) == value
            doing = "purge"
            await self.cache.purge(user, within=limit)
            gone = (await self.cache.get(user, key, within=limit)).value is None
            await self.remove(user, key)
        except BackendError as error:
            data = {"error": type(error).__name__, "doing": doing}
            bad = FAIL if doing == "purge" else WARN  # what is forgotten would stay in it
            return Finding(name, bad, f"it cannot {doing}: {error.message}", error.hint, data)
        if not (kept and same and gone):
            advice = "maxmemory may be too small to hold anything, or a proxy in between may answer from elsewhere"
            return Finding(name, WARN, "what was written could not be read back", advice)
        return Finding(name, OK, "values can be kept, read and purged")

    async def _server(self) -> list[Finding]:
        try:
            facts = await server_facts(self.connection, "examine cache")
        except BackendError as error:
            advice = f"{error.hint}; it may need +info"
            return [Finding("cache server", WARN, f"its state cannot be read: {error.message}", advice)]
        return [
            Finding("cache server", OK, _versions(facts), data={"nodes": len(facts)}),
            self._memory(facts),
            self._policy(facts),
            await self._persistence(facts),
        ]

    def _memory(self, facts: Mapping[str, Facts]) -> Finding:
        used = total(facts, "used_memory")
        limits = [int(node.get("maxmemory", 0)) for node in facts.values()]
        data = {"used_bytes": used, "limit_bytes": sum(limits) if all(limits) else 0}
        if not all(limits):
            advice = "set maxmemory: a cache should be bounded"
            return Finding("cache memory", WARN, f"{size_text(used)} used, no limit", advice, data)
        text = f"{size_text(used)} of {size_text(sum(limits))} used"
        if used > sum(limits):
            return Finding("cache memory", WARN, text, "raise maxmemory: there is no room for a single value", data)
        return Finding("cache memory", OK, text, data=data)

    def _policy(self, facts: Mapping[str, Facts]) -> Finding:
        policies = _policies(facts)
        data = {"policy": policies}
        if "noeviction" in policies:
            advice = "set maxmemory-policy allkeys-lru, or volatile-lfu where others share the server"
            return Finding("cache policy", WARN, "noeviction: a full cache takes nothing new", advice, data)
        return Finding("cache policy", OK, f"evicts by {', '.join(policies)}", data=data)

    async def _persistence(self, facts: Mapping[str, Facts]) -> Finding:
        """Whether the server writes to its disk; the schedule of its snapshots stands in its configuration alone."""
        nodes = facts.values()
        log = any(node.get("aof_enabled") == "1" for node in nodes)
        snapshots, known = any(int(node.get("rdb_saves", 0)) > 0 for node in nodes), False
        try:
            replies = await self.connection.command("examine cache", "CONFIG", "GET", "save", everywhere=True)
            snapshots, known = snapshots or any(_saves(reply) for reply in replies.values()), True
        except BackendRejected:
            pass  # most users may not read the configuration
        except BackendError as error:
            return Finding("cache persistence", WARN, error.message, error.hint)
        data = {"aof": log, "snapshots": snapshots}
        if log or snapshots:
            what = " and ".join(name for name, on in (("an append-only file", log), ("snapshots", snapshots)) if on)
            advice = 'set save "" and appendonly no: what is forgotten could survive on the disk'
            return Finding("cache persistence", WARN, f"the server keeps {what}", advice, data)
        text = "nothing is written to the disk"
        if not known:
            text = 'nothing was written to the disk so far; whether save is "" may not be read by this user'
        return Finding("cache persistence", OK, text, data=data)

    async def _latency(self) -> Finding:
        try:
            seconds = await _round_trip(self.cache, self.connection)
        except BackendError as error:
            return Finding("cache round trip", WARN, error.message, error.hint)
        slow = seconds > _SLOW_SECONDS
        advice = "the server is far away or busy: a look has to end within cache_timeout_ms" if slow else ""
        text = f"a small read takes {seconds * 1000:.2f} ms"
        return Finding("cache round trip", WARN if slow else OK, text, advice, {"read_seconds": seconds})


async def _round_trip(cache: HotCache, connection: Connection) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        began = perf_counter()
        await cache.get_vector(_NOBODY, within=connection.timeout)
        seconds.append(perf_counter() - began)
    return median(seconds)


def _saves(reply: Reply) -> bool:
    """Whether a reply to ``CONFIG GET save`` names a schedule."""
    values = reply.values() if isinstance(reply, dict) else reply[1::2]
    return any(value not in (b"", "") for value in values)


def _versions(facts: Mapping[str, Facts]) -> str:
    return ", ".join(sorted({" ".join(version_of(node)) for node in facts.values()}))


def _policies(facts: Mapping[str, Facts]) -> list[str]:
    return sorted({node.get("maxmemory_policy", "noeviction") for node in facts.values()})
