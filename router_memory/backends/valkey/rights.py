"""Whether the user of a connection has the rights that the store needs; found out by using them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from secrets import token_hex
from typing import TYPE_CHECKING

from router_memory.backends.valkey.facts import text_of
from router_memory.backends.valkey.schema import Shape, create_main
from router_memory.backends.valkey.translate import Forbidden, ScriptMissing
from router_memory.errors import BackendError
from router_memory.types import CheckStatus, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.backends.valkey.connection import Connection

__all__ = ["Rights"]

_OPERATION = "examine"
_TRIED = (
    ("HSET", "a", "1"),
    ("EXISTS",),
    ("HGET", "a"),
    ("HMGET", "a"),
    ("HGETALL",),
    ("HDEL", "a"),
    ("UNLINK",),
    ("ZADD", "0", "a"),
    ("ZRANGE", "0", "0"),
    ("ZREM", "a"),
    ("UNLINK",),
)
"""What requests send, and their scripts do, with a key behind the name; the last leaves nothing."""
_SCRIPT = "return redis.call('EXISTS', KEYS[1])"
_DRY_RUN = "ACL DRYRUN"


@dataclass(frozen=True, slots=True)
class Rights:
    """Tries rights out.

    Attributes:
        connection: Whose user it is about; opened.
        prefix: Of the store's keys.
        index_name: Of its index.
        shape: How that is made.
    """

    connection: Connection
    prefix: str
    index_name: str
    shape: Shape

    async def finding(self) -> Finding:
        """Does what requests do, on a key of nobody's that no index holds and that is gone in the end."""
        name = await self._user()
        user = f"user {name}" if name else "this user"
        forbidden = await self._forbidden()
        dry = await self._forbidden_by_dry_run(name)
        forbidden += dry or ()
        data = {"user": name, "forbidden": forbidden, "tried": dry is not None}
        if forbidden:
            rights = " ".join((f"~{self.prefix}*", *(f"+{command.lower()}" for command in forbidden)))
            advice = f"give it the rights of docs/valkey.md: ACL SETUSER {name or 'NAME'} {rights}"
            return Finding("rights", CheckStatus.FAIL, f"{user} may not use {', '.join(forbidden)}", advice, data)
        text = f"{user} may read, write, search and run scripts"
        if dry is None:
            text += f"; whether it may make and drop indexes was not tried, for it may not use {_DRY_RUN}"
        return Finding("rights", CheckStatus.OK, text, data=data)

    async def _user(self) -> str:
        """The name of the user; empty when it may not know."""
        try:
            return text_of(await self.connection.command(_OPERATION, "ACL", "WHOAMI"))
        except Forbidden:
            return ""

    async def _forbidden(self) -> list[str]:
        """The commands of requests that the user may not use.

        Raises:
            BackendError: Something else keeps the user from using one: no memory, no primary.
        """
        key = f"{self.prefix}doctor:{token_hex(8)}"
        if await self._refused([("UNLINK", key)], key):
            return ["UNLINK"]  # what would be written could not be removed
        forbidden = await self._refused([(name, key, *rest) for name, *rest in _TRIED], key)
        digest = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
        return forbidden + await self._refused([("EVAL", _SCRIPT, "1", key), ("EVALSHA", digest, "1", key)], key)

    async def _refused(self, commands: Sequence[tuple[str, ...]], key: str) -> list[str]:
        """The names of those commands that the user may not use."""
        refused = []
        replies = await self.connection.pipeline(_OPERATION, commands, key=key)
        for (name, *_), reply in zip(commands, replies, strict=True):
            if isinstance(reply, Forbidden):
                refused.append(name)
            elif isinstance(reply, BackendError) and not isinstance(reply, ScriptMissing):
                raise reply
        return list(dict.fromkeys(refused))

    async def _forbidden_by_dry_run(self, user: str) -> list[str] | None:
        """Which commands that make and drop indexes the user may not use; ``None`` when it may not ask."""
        name, prefix = self.index_name, self.prefix
        if not user:
            return None
        commands = (create_main(name, prefix, 1, self.shape), ("FT.DROPINDEX", name))
        forbidden = []
        for command in commands:
            try:
                reply = await self.connection.command(_OPERATION, *_DRY_RUN.split(), user, *command)
            except Forbidden:
                return None
            if text_of(reply) != "OK":
                forbidden.append(command[0])
        return forbidden
