"""The connection to the server: what the store and the cache send, and through which lane."""

from __future__ import annotations

import asyncio
import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from router_memory.backends.valkey.opening import Opening
from router_memory.backends.valkey.settings import Settings
from router_memory.backends.valkey.translate import BACKEND, ScriptMissing, translated
from router_memory.errors import BackendError, BackendUnavailable, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from router_memory.backends.valkey.client import Argument, Client, Cursor, Reply
    from router_memory.backends.valkey.lane import Lane
    from router_memory.backends.valkey.settings import ReadFrom, Tls

__all__ = ["Connection"]


class Connection:
    """The clients of one server or cluster: one for control, a few for searches, which block their connection.

    It belongs to the event loop and the process that opened it.

    Args:
        addresses: Hosts and ports: of a cluster some nodes, else the server and perhaps its replicas.
        cluster: Whether the server is a cluster.
        database: The number of the database.
        username: Name of the ACL user; empty for the default one.
        password: Empty for none.
        tls: How to encrypt; None for not at all.
        timeout: The longest a call takes, in seconds.
        read_from: Where searches go on a cluster; everything else goes to the primary.
        client_name: Name in ``CLIENT LIST``.
        search_clients: How many searches run at once; 0 for a connection that is never asked for one.

    Attributes:
        location: What errors call the server: ``host:port/database``.
    """

    def __init__(
        self,
        *,
        addresses: Sequence[tuple[str, int]],
        cluster: bool = False,
        database: int = 0,
        username: str = "",
        password: str = "",
        tls: Tls | None = None,
        timeout: float = 10.0,
        read_from: ReadFrom = "primary",
        client_name: str = "router-memory",
        search_clients: int = 2,
    ) -> None:
        self.addresses = tuple(addresses)
        self.cluster = cluster
        self.database = database
        self.tls = tls
        self.timeout = timeout
        self._settings = Settings(
            addresses=self.addresses,
            cluster=cluster,
            database=database,
            username=username,
            password=password,
            tls=tls,
            timeout=timeout,
            read_from=read_from,
            client_name=client_name,
        )
        self.location = self._settings.location
        self._replicas = read_from == "prefer_replica"
        self._search_clients = search_clients
        self._opening: Opening | None = None

    # -- its life

    async def open(self) -> None:
        """Makes the clients. Nothing is sent before the first command, so an unreachable server is no error here.

        Raises:
            BackendError: The settings do not fit together, or the process has no means for so many clients.
        """
        if self._opening is None:
            self._opening = await Opening.make(self._settings, self._search_clients)

    async def close(self) -> None:
        """Ends what is under way and closes every client, without waiting for the server."""
        opening, self._opening = self._opening, None
        if opening is not None:
            await opening.close()

    # -- what is sent

    async def command(
        self,
        operation: str,
        *args: Argument,
        key: str | None = None,
        everywhere: bool = False,
        node: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # it decides what a silence says about the server
    ) -> Reply:
        """The reply to one command.

        Args:
            operation: What is being done, for errors.
            args: The command and its arguments.
            key: On a cluster, the command goes to the primary that holds this key; without one to a random node.
            everywhere: Send it to every primary; the reply is then a map from node to reply.
            node: On a cluster, send it to this node, named as in such a map.
            timeout: Seconds; at most that of the connection, which is the default.

        Raises:
            BackendError: See `translating`.
        """

        async def send(client: Client) -> Reply:
            reply = await client.command(args, key, everywhere=everywhere, node=node)
            by_node = not everywhere or (self.cluster and isinstance(reply, dict))
            return reply if by_node else {self.location: reply}

        return await self._on_control(operation, send, key, timeout)

    async def run(
        self,
        operation: str,
        script: str,
        keys: Sequence[Argument],
        args: Sequence[Argument],
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # it decides what a silence says about the server
    ) -> Reply:
        """The reply of a Lua script. Its text is sent only when the server does not know it.

        Args:
            operation: What is being done, for errors.
            script: The text.
            keys: The keys it touches, all of one slot.
            args: Its other arguments.
            timeout: Seconds for all of it; at most that of the connection, which is the default.

        Raises:
            BackendError: See `translating`.
        """
        # glide's own Script loads a text it misses on every primary, so one that is down would fail them all.
        digest = _digest(script)
        rest = [str(len(keys)), *keys, *args]
        route_key = _text(keys[0]) if keys else None

        async def send(client: Client) -> Reply:
            from glide import RequestError

            try:
                return await client.command(["EVALSHA", digest, *rest], route_key)
            except RequestError as error:
                if not isinstance(translated(error, operation, self.location), ScriptMissing):
                    raise
            return await client.command(["EVAL", script, *rest], route_key)

        return await self._on_control(operation, send, route_key, timeout)

    async def run_all(
        self,
        operation: str,
        script: str,
        calls: Sequence[tuple[Sequence[Argument], Sequence[Argument]]],
        *,
        key: str,
    ) -> list[Reply | BackendError]:
        """The replies of a Lua script to several calls, sent in one round trip; see `run` and `pipeline`.

        Args:
            operation: What is being done, for errors.
            script: The text.
            calls: For each call the keys and the other arguments.
            key: On a cluster, the key whose node is asked; the keys of all calls are in its slot.

        Raises:
            BackendError: See `translating`; nothing is known about any of the calls then.
        """
        digest = _digest(script)
        commands = [("EVALSHA", digest, str(len(keys)), *keys, *args) for keys, args in calls]
        replies = await self.pipeline(operation, commands, key=key)
        for place, reply in enumerate(replies):
            if isinstance(reply, ScriptMissing):
                try:
                    replies[place] = await self.run(operation, script, *calls[place])
                except BackendError as error:
                    replies[place] = error
        return replies

    async def pipeline(
        self,
        operation: str,
        commands: Sequence[Sequence[Argument]],
        *,
        key: str,
        search: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109  # the server is told too
    ) -> list[Reply | BackendError]:
        """The replies to several commands, sent in one round trip and run in order on one connection.

        Args:
            operation: What is being done, for errors.
            commands: The commands with their arguments; at least one.
            key: On a cluster, all go to the node that holds this key.
            search: Use the search client with the least to do.
            timeout: Seconds; at most that of the connection, which is the default.

        Returns:
            A reply for each command; an error in its place when it alone failed.

        Raises:
            BackendError: See `translating`; nothing is known about any of the commands then.
            InvalidRequest: The connection has no clients for searches.
        """
        limit = self._limit(timeout)

        async def send(client: Client) -> list[Reply]:
            return await client.batch(commands, key, replica=search and self._replicas, seconds=limit)

        if search and self._search_clients < 1:
            raise InvalidRequest("this connection was made without clients for searches", field="search")
        opening = self._usable(operation)
        lane = opening.lane(search=search)
        replies = [
            translated(reply, operation, self.location) if isinstance(reply, Exception) else reply
            for reply in await self._call(opening, lane, operation, send, key, limit)
        ]
        for reply in replies:
            opening.consider(lane, reply, key, limit)
        return replies

    async def scan(self, operation: str, pattern: str) -> AsyncIterator[list[bytes]]:
        """The keys that match a pattern, in batches; on a cluster those of all nodes. Never on a request path.

        A key that is there all the while is given, maybe twice.

        Args:
            operation: What is being done, for errors.
            pattern: As of SCAN.

        Raises:
            BackendError: See `translating`.
        """
        cursor: Cursor | None = None

        async def send(client: Client) -> Reply:
            return await client.scan(cursor, pattern)

        finished = False
        while not finished:
            cursor, keys = await self._on_control(operation, send, None, None)
            finished = cursor is None
            if keys:
                yield keys

    # -- a call

    async def _on_control(
        self,
        operation: str,
        send: Callable[[Client], Coroutine[Any, Any, Reply]],
        key: str | None,
        seconds: float | None,
    ) -> Reply:
        opening = self._usable(operation)
        return await self._call(opening, opening.lane(search=False), operation, send, key, self._limit(seconds))

    def _limit(self, seconds: float | None) -> float:
        return self.timeout if seconds is None else min(seconds, self.timeout)

    async def _call(
        self,
        opening: Opening,
        lane: Lane,
        operation: str,
        send: Callable[[Client], Coroutine[Any, Any, Reply]],
        key: str | None,
        limit: float,
    ) -> Reply:
        try:
            return await opening.call(lane, operation, send, key, limit)
        except BackendError as error:
            if opening.closed:  # in the middle of the call
                raise self._unusable(operation, "the connection is not open") from error
            raise

    def _usable(self, operation: str) -> Opening:
        """What is open here.

        Raises:
            BackendUnavailable: Nothing is, or it is another event loop's or process's.
        """
        opening = self._opening
        if opening is None:
            raise self._unusable(operation, "the connection is not open")
        if opening.pid != os.getpid():
            hint = "open it in the process that uses it"
            raise self._unusable(operation, "the connection was opened before a fork", hint)
        if opening.loop is not asyncio.get_running_loop():
            hint = "open one per event loop"
            raise self._unusable(operation, "the connection belongs to another event loop", hint)
        return opening

    def _unusable(self, operation: str, finding: str, hint: str = "") -> BackendUnavailable:
        return BackendUnavailable(f"{self.location}: {finding}", backend=BACKEND, operation=operation, hint=hint)


@lru_cache(maxsize=16)
def _digest(script: str) -> str:
    """What EVALSHA calls a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _text(key: Argument) -> str:
    return key if isinstance(key, str) else key.decode()
