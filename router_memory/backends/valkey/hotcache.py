"""The second level of the hot cache: a Valkey or Redis server that every process shares.

    {prefix}{USER}       what belongs to a user     hash: epoch, lease, and one field of 32 bytes for each question
    {prefix}v:DIGEST     a query embedding          string

USER is the digest of the user id; it stands in braces, as in the store. A user's hash expires as a whole, at the latest
time that any of its values asked for; when each of them ends is the caller's matter.

A lease is what keeps a value that was computed before a purge from being filled in after it. `purge` leaves a random
one in place of the hash; a fill is kept only where the lease is still the one its reader saw.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from secrets import token_bytes
from time import monotonic
from typing import TYPE_CHECKING

from router_memory.backends.valkey.hotcache_examine import CacheExamination, cache_stats
from router_memory.backends.valkey.scripts import script
from router_memory.backends.valkey.settings import milliseconds
from router_memory.backends.valkey.translate import BACKEND, advise_cache, of_wrong_type
from router_memory.errors import BackendError, BackendRejected, InvalidRequest
from router_memory.types import CacheServerStats, Finding, Looked
from router_memory.types.names import name_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.backends.valkey.client import Reply
    from router_memory.backends.valkey.connection import Connection

__all__ = ["ValkeyCache"]

_LEASE_BYTES = 8
_SHORTEST_LEASE_SECONDS = 60.0
"""A fill that is under way longer has been given up by its request."""
_REMOVED_AT_ONCE = 100
_ASKED_AT_ONCE = 64
"""Keys of a cluster, each in a slot of its own, that are sent at the same time."""


class ValkeyCache:
    """A hot cache on a server, in a database or under a prefix of its own.

    Any Valkey, or Redis 6.2 and newer, single or cluster, serves; no module is needed. What it holds may be lost at any
    time: let it evict (``maxmemory-policy allkeys-lru``) and save nothing (``save ""``, no append-only file), for what
    is forgotten would live on in a snapshot.

    The least that an ACL user needs, with PREFIX for the prefix::

        ACL SETUSER NAME on >PASSWORD ~PREFIX* +hmget +hset +hlen +hexists +pttl +pexpire +unlink +get +set
            +eval +evalsha +echo +info +select +client|setname +scan +memory|usage

    and ``+ping +cluster|slots`` on a cluster. The last two of those above are for `clear` and `stats` alone. With
    ``+config|get`` `examine` can tell whether snapshots are saved.

    Args:
        connection: Not opened; the cache opens and closes it. It needs no clients for searches.
        prefix: What every key starts with. Not to be shared with anything else.
        most_entries: Values of one user; more of them drop those before.
        lease_seconds: How long a purge is remembered, at least a minute: the longest that a value may take from the
            look that missed to its fill. Give the time to live of values.

    Raises:
        InvalidRequest: The prefix cannot be one, or `most_entries` is not positive.
    """

    def __init__(
        self, connection: Connection, *, prefix: str, most_entries: int = 64, lease_seconds: float = 60.0
    ) -> None:
        if fault := name_fault(prefix):
            raise InvalidRequest(f"prefix {prefix!r} {fault}", field="prefix")
        if most_entries < 1:
            raise InvalidRequest("most_entries must be at least 1", field="most_entries")
        self._connection = connection
        self._prefix = prefix
        self._most = str(most_entries)
        self._lease_ms = str(milliseconds(max(lease_seconds, _SHORTEST_LEASE_SECONDS)))
        self._fill, self._purge = script("fill"), script("purge")

    @property
    def location(self) -> str:
        """See `HotCache.location`."""
        return self._connection.location

    async def open(self) -> None:
        """See `HotCache.open`.

        Raises:
            BackendError: The settings do not fit together, or the process has no means for a client.
        """
        await self._connection.open()

    async def close(self) -> None:
        """See `HotCache.close`."""
        await self._connection.close()

    # -- on the request path

    async def get(self, user: str, field: bytes, *, vector: bytes | None = None, within: float) -> Looked:
        """See `HotCache.get`. On a cluster the two commands go to two nodes at the same time.

        A key of the cache that holds something else is taken away, so that the next look finds it in order.
        """
        key, until = self._user_key(user), monotonic() + within
        commands: list[tuple[str | bytes, ...]] = [("HMGET", key, field, "lease")]
        if vector is not None:
            commands.append(("GET", self._vector_key(vector)))
        replies = await self._ask(commands, within)
        if isinstance(replies[0], BackendError):
            advise_cache(replies[0])
            if of_wrong_type(replies[0]) and (left := until - monotonic()) > 0:
                with suppress(BackendError):
                    await self.purge(user, within=left)
            raise replies[0]
        match replies[0]:
            case [bytes() | None as value, bytes() | None as lease]:
                held = replies[-1] if len(replies) > 1 and isinstance(replies[-1], bytes) else None
                return Looked(value, lease or b"", held)
        raise self._unexpected("cache get", replies[0])

    async def _ask(self, commands: Sequence[tuple[str | bytes, ...]], within: float) -> list[Reply | BackendError]:
        """The replies to commands that each have their key in second place, errors in the place of failed ones'.

        Raises:
            BackendError: None of them has one.
        """
        if len(commands) > 1 and not self._connection.cluster:
            return await self._connection.pipeline("cache get", commands, key="", timeout=within)
        if len(commands) == 1:
            return [await self._ask_one(commands[0], within)]
        return list(await asyncio.gather(*(self._ask_one(command, within) for command in commands)))

    async def _ask_one(self, command: tuple[str | bytes, ...], within: float) -> Reply | BackendError:
        try:
            return await self._connection.command("cache get", *command, key=str(command[1]), timeout=within)
        except BackendError as error:
            return error

    async def put(
        self, user: str, field: bytes, value: bytes, *, epoch: str, lease: bytes, ttl: float, within: float
    ) -> bool:
        """See `HotCache.put`. One script."""
        args = (field, value, epoch, lease, self._most, str(milliseconds(ttl)))
        try:
            reply = await self._connection.run("cache put", self._fill, [self._user_key(user)], args, timeout=within)
        except BackendRejected as error:
            advise_cache(error)
            raise
        if reply not in (0, 1):
            raise self._unexpected("cache put", reply)
        return bool(reply)

    async def purge(self, user: str, *, within: float) -> None:
        """See `HotCache.purge`. One script, which a full server runs, too."""
        args = (token_bytes(_LEASE_BYTES), self._lease_ms)
        try:
            await self._connection.run("cache purge", self._purge, [self._user_key(user)], args, timeout=within)
        except BackendRejected as error:
            advise_cache(error)
            raise

    async def get_vector(self, key: bytes, *, within: float) -> bytes | None:
        """See `HotCache.get_vector`. One command."""
        name = self._vector_key(key)
        try:
            reply = await self._connection.command("cache get", "GET", name, key=name, timeout=within)
        except BackendRejected as error:
            advise_cache(error)
            raise
        if reply is None or isinstance(reply, bytes):
            return reply
        raise self._unexpected("cache get", reply)

    async def put_vector(self, key: bytes, value: bytes, *, ttl: float, within: float) -> None:
        """See `HotCache.put_vector`. One command."""
        name = self._vector_key(key)
        args = ("SET", name, value, "PX", str(milliseconds(ttl)))
        try:
            await self._connection.command("cache put", *args, key=name, timeout=within)
        except BackendRejected as error:
            advise_cache(error)
            raise

    # -- for operators

    async def clear(self) -> int:
        """See `HotCache.clear`."""
        gone = 0
        try:
            async for keys in self._connection.scan("cache clear", f"{self._prefix}*"):
                gone += await self._remove(keys)
        except BackendRejected as error:
            advise_cache(error)
            raise
        return gone

    async def stats(self) -> CacheServerStats:
        """See `HotCache.stats`."""
        try:
            return await cache_stats(self, self._connection, self._prefix)
        except BackendRejected as error:
            advise_cache(error)
            raise

    async def examine(self) -> tuple[Finding, ...]:
        """See `HotCache.examine`. The cache need not be open; what this opens is closed by `close`."""
        return await CacheExamination(self, self._connection, self._prefix, self._remove_throwaway).findings()

    # -- inside

    def _user_key(self, user: str) -> str:
        return f"{self._prefix}{{{user}}}"

    def _vector_key(self, key: bytes) -> str:
        return f"{self._prefix}v:{key.hex()}"

    async def _remove(self, keys: list[bytes]) -> int:
        """Takes keys away; returns how many of them were there."""
        gone = 0
        if self._connection.cluster:
            for start in range(0, len(keys), _ASKED_AT_ONCE):
                group = keys[start : start + _ASKED_AT_ONCE]
                gone += sum(await asyncio.gather(*(self._unlink(key) for key in group)))
        else:
            for start in range(0, len(keys), _REMOVED_AT_ONCE):
                gone += await self._unlink(*keys[start : start + _REMOVED_AT_ONCE])
        return gone

    async def _unlink(self, *keys: bytes) -> int:
        reply = await self._connection.command("cache clear", "UNLINK", *keys, key=keys[0].decode())
        if not isinstance(reply, int):
            raise self._unexpected("cache clear", reply)
        return reply

    async def _remove_throwaway(self, user: str, vector: bytes) -> None:
        """Takes away what an examination has left, leases too."""
        await self._remove([self._user_key(user).encode(), self._vector_key(vector).encode()])

    def _unexpected(self, operation: str, reply: Reply) -> BackendRejected:
        kind = type(reply).__name__
        hint = "something between this program and the server changes replies, or this is a defect: please report it"
        return BackendRejected(
            f"{self.location}: the reply is of an unexpected form ({kind})",
            backend=BACKEND,
            operation=operation,
            hint=hint,
        )
