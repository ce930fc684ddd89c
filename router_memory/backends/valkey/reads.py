"""What reads memories one by one, by page or in number, without searching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.damage import Damaged, Misfiled, number, reading
from router_memory.backends.valkey.each import of_each, without_errors
from router_memory.backends.valkey.keys import Keys
from router_memory.backends.valkey.records import RECORD_FIELDS, decode_memories, member_position, place
from router_memory.storage import encode_cursor
from router_memory.types import LexicalStatistics, MemoryRecord, MemoryType, Page, Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from router_memory.backends.valkey.connection import Connection
    from router_memory.storage import Position

__all__ = ["Reader"]

_NAMES = tuple(name.encode() for name in RECORD_FIELDS)
_SCANNED = 500
"""Most memories looked at in one round trip while a page is filled."""


class Reader:
    """Reads without searching.

    Args:
        connection: The server.
        prefix: Of the keys.
    """

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    async def epoch(self, scope: Scope) -> str:
        """See `MemoryStore.epoch`."""
        epoch, user = await self._meta("epoch", Keys.of(self._prefix, scope), scope, ("epoch", "user"))
        return "" if user is None else self._decoded("epoch", epoch)

    async def statistics(self, scope: Scope, stems: Sequence[str]) -> LexicalStatistics:
        """See `MemoryStore.statistics`."""
        keys = Keys.of(self._prefix, scope)
        fields = ["epoch", "user", "documents", "length", *(f"df:{stem}" for stem in stems)]
        epoch, user, documents, length, *counts = await self._meta("statistics", keys, scope, fields)
        if user is None:
            return LexicalStatistics("", 0, 0, {})
        decoded = self._decoded("statistics", epoch)
        with reading("statistics", self._connection.location):
            frequency = {stem: number(count) for stem, count in zip(stems, counts, strict=True) if count is not None}
            return LexicalStatistics(decoded, number(documents), number(length), frequency)

    async def count(self, scope: Scope, types: frozenset[MemoryType]) -> int:
        """See `MemoryStore.count`."""
        keys = Keys.of(self._prefix, scope)
        return await self._tally("count", keys, scope, types)

    async def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """See `MemoryStore.get`."""
        keys = Keys.of(self._prefix, scope)
        found = await self._records("get", keys, scope, [id])
        return found[0] if found else None

    async def contains(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        """See `MemoryStore.contains`."""
        if not ids:
            return frozenset()
        keys = Keys.of(self._prefix, scope)
        commands = [("HMGET", keys.record(name), "type", "project") for name in ids]
        replies = await self._pipeline("contains", keys, commands)
        wanted = None if scope.project_digest is None else scope.project_digest.encode()
        return frozenset(
            name
            for name, (kind, project) in zip(ids, replies, strict=True)
            if kind is not None and (wanted is None or project == wanted)
        )

    async def page(self, scope: Scope, types: frozenset[MemoryType], limit: int, after: Position | None) -> Page:
        """Up to `limit` memories behind `after`, newest first; see `MemoryStore.list`."""
        keys = Keys.of(self._prefix, scope)
        total = await self._tally("list", keys, scope, types)
        places = await self._places(keys, scope, types, limit + 1, after)
        cursor = encode_cursor(scope, places[limit - 1]) if len(places) > limit else None
        records = await self._records("list", keys, scope, [place.id for place in places[:limit]])
        return Page(tuple(records), cursor, total)

    async def users(self) -> AsyncIterator[str]:
        """See `MemoryStore.users`. One may be given twice."""
        async for keys in self._connection.scan("users", f"{self._prefix}meta:{{*}}"):
            for key, user in zip(keys, await self._user_ids(keys), strict=True):
                if user is None:  # forgotten meanwhile
                    continue
                with reading("users", self._connection.location):
                    yield _named(self._prefix, key, user)

    async def _user_ids(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """What stands under the keys of users' statistics."""
        return await of_each(self._connection, "users", keys, lambda key: ("HGET", key, "user"))

    async def oldest(
        self, keys: Keys, scope: Scope, types: frozenset[MemoryType], before: int | None, skip: bytes, limit: int
    ) -> tuple[list[str], bytes]:
        """Ids of some of the scope's memories from the oldest on, and where to go on; empty at the end.

        Args:
            before: Only those created before this time, in microseconds; ``None`` for all.
            skip: Where the call before ended.
            limit: How many to look at.
        """
        edge = "+" if before is None else f"({place(before, 0)}"
        start = b"(" + skip if skip else b"-"
        command = ("ZRANGE", keys.order, start, edge, "BYLEX", "LIMIT", "0", str(limit))
        members: list[bytes] = await self._connection.command("forget_scope", *command, key=keys.order)
        with reading("forget_scope", self._connection.location):
            ids = [position.id for position in _matching(members, scope, types)]
        return ids, members[-1] if len(members) == limit else b""

    async def _places(
        self, keys: Keys, scope: Scope, types: frozenset[MemoryType], wanted: int, after: Position | None
    ) -> list[Position]:
        """The places of memories behind `after`, newest first."""
        edge = b"+" if after is None else b"(" + f"{place(after.created_at, after.position)}{after.id}".encode()
        filtered = bool(types) or scope.project is not None
        at_once = _SCANNED if filtered else min(wanted, _SCANNED)
        found: list[Position] = []
        while len(found) < wanted:
            command = ("ZRANGE", keys.order, edge, "-", "BYLEX", "REV", "LIMIT", "0", str(at_once))
            members: list[bytes] = await self._connection.command("list", *command, key=keys.order)
            with reading("list", self._connection.location):
                found += _matching(members, scope, types)
            if len(members) < at_once:
                break
            edge = b"(" + members[-1]
        return found[:wanted]

    async def _records(self, operation: str, keys: Keys, scope: Scope, ids: Sequence[str]) -> list[MemoryRecord]:
        """Those of the memories that are there and in the scope."""
        if not ids:
            return []
        commands = [("HMGET", keys.record(name), *RECORD_FIELDS, "project") for name in ids]
        replies = await self._pipeline(operation, keys, commands)
        wanted = None if scope.project_digest is None else scope.project_digest.encode()
        rows = [
            (name, {field: value for field, value in zip(_NAMES, values, strict=True) if value is not None})
            for name, (*values, project) in zip(ids, replies, strict=True)
            if values[0] is not None and (wanted is None or project == wanted)
        ]
        with reading(operation, self._connection.location):
            return [record for record, _, _ in decode_memories(scope, rows)]

    async def _meta(self, operation: str, keys: Keys, scope: Scope, fields: Sequence[str]) -> list[Any]:
        """Fields of the user's statistics, ``user`` among them, which is checked."""
        values: list[Any] = await self._connection.command(operation, "HMGET", keys.meta, *fields, key=keys.meta)
        user = values[fields.index("user")]
        if user is not None and user != scope.user_id.encode():
            with reading(operation, self._connection.location):
                raise Misfiled("another user was found under this user's digest")
        return values

    async def _tally(self, operation: str, keys: Keys, scope: Scope, types: frozenset[MemoryType]) -> int:
        """How many memories of some types there are; of all types if none is named."""
        _, *counts = await self._meta(operation, keys, scope, ["user", *_tally_fields(scope, types)])
        with reading(operation, self._connection.location):
            return sum(map(number, counts))

    def _decoded(self, operation: str, epoch: bytes | None) -> str:
        try:
            return (epoch or b"").decode()
        except UnicodeDecodeError:
            with reading(operation, self._connection.location):
                raise Damaged("the epoch of a user is no text") from None

    async def _pipeline(self, operation: str, keys: Keys, commands: Sequence[Sequence[str]]) -> list[Any]:
        """The replies to any number of commands, some at a time, so that others get their turn."""
        replies: list[Any] = []
        for start in range(0, len(commands), _SCANNED):
            replies += await self._connection.pipeline(operation, commands[start : start + _SCANNED], key=keys.meta)
        return without_errors(replies)


def _named(prefix: str, key: bytes, user: bytes) -> str:
    """The user id that stands under a key of statistics.

    Raises:
        Damaged: The key is another user's.
    """
    try:
        user_id = user.decode()
        if Keys.of(prefix, Scope(user_id)).meta.encode() == key:
            return user_id
    except ValueError:  # not UTF-8, or no id
        pass
    raise Damaged("the id of a user does not fit its key")


def _tally_fields(scope: Scope, types: frozenset[MemoryType]) -> list[str]:
    suffix = "" if scope.project_digest is None else f":{scope.project_digest}"
    return [f"n:{member.value}{suffix}" for member in (types or MemoryType)]


def _matching(members: Sequence[bytes], scope: Scope, types: frozenset[MemoryType]) -> list[Position]:
    wanted = scope.project_digest
    places = map(member_position, members)
    return [
        place
        for place, kind, project in places
        if (wanted is None or project == wanted) and (not types or kind in types)
    ]
