"""The connection to the server: glide's clients, what is sent through them, and new ones when they no longer answer.

glide reconnects by itself when a connection is closed. It does not notice one that swallows packets, its first
connection is tried once per waiting command, and a standalone client keeps the primary it found at first. So a client
that missed a deadline is asked again, beside new ones; whoever answers first serves from then on.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from router_memory.backends.valkey.translate import (
    BACKEND,
    NotPrimary,
    ScriptMissing,
    Unreachable,
    translated,
    translating,
)
from router_memory.errors import BackendError, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from glide import GlideClient, GlideClusterClient, GlideClusterClientConfiguration, Route

__all__ = ["Connection", "Reply", "Tls"]

Reply: TypeAlias = Any  # what RESP3 can hold: bytes, int, float, bool, None, "OK", lists, sets and maps of them
Argument: TypeAlias = str | bytes
ReadFrom: TypeAlias = Literal["primary", "prefer_replica"]

_log = logging.getLogger("router_memory.valkey")

_CONNECT_SECONDS = 1.0  # of a cluster with a dead node glide's first connection takes twice as long
_ECHO_SECONDS = 1.0
_RECONNECT_MS = 100  # glide waits this, then twice this, then that for ever; with its jitter below 300 ms
_RECONNECT_STEPS = 2
_RECONNECT_BASE = 2
_RECONNECT_JITTER_PERCENT = 20
_FIRST_RETRY_SECONDS = 0.1
_LONGEST_RETRY_SECONDS = 0.8  # with the time a connection takes, below the second recovery may take
_RIVALS = 3
_FIRST_NUDGE_SECONDS = 0.01
_LONGEST_NUDGE_SECONDS = 0.1
_CLOSE_SECONDS = 2.0
_IN_FLIGHT = 4_000
_ECHO = ("ECHO", "router-memory")  # unlike PING a server answers it when it cannot save or lost its primary
_SCAN_COUNT = 1_000


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is encrypted.

    Args:
        ca: PEM of the certificates that may sign the server's; None for those of the system.
        insecure: Whether any certificate is taken, unverified.
        certificate: PEM of the client's certificate, for servers that ask for one.
        key: PEM of its key.
    """

    ca: bytes | None = None
    insecure: bool = False
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


@dataclass(eq=False, slots=True)
class _Client:
    """A client of glide's, and whether the server has ever answered through it."""

    glide: GlideClient | GlideClusterClient
    answered: bool = False


@dataclass(eq=False, slots=True)
class _Lane:
    """The client in use, and what is known about it.

    Args:
        settled: Set while commands need not wait for the first connection.
        failure: Why commands fail at once; None while they may be sent.
        outdated: Whether the client must be replaced even though it answers.
    """

    client: _Client
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    failure: BaseException | None = None
    outdated: bool = False
    busy: int = 0
    recovery: asyncio.Task[None] | None = None


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
        search_clients: How many searches run at once.
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
        self.timeout = timeout
        self.location = f"{','.join(f'{host}:{port}' for host, port in self.addresses)}/{database}"
        self._username = username
        self._password = password
        self.tls = tls
        self._read_from = read_from
        self._client_name = client_name
        self._search_clients = search_clients
        self._lanes: list[_Lane] = []
        self._retired: dict[_Client, asyncio.TimerHandle] = {}
        self._deadlines: set[asyncio.Timeout] = set()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    # -- its life

    async def open(self) -> None:
        """Makes the clients. Nothing is sent before the first command, so an unreachable server is no error here."""
        if self._lanes:
            return
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        with translating("open", self.location):
            self._lanes = [_Lane(await self._create()) for _ in range(1 + self._search_clients)]

    async def close(self) -> None:
        """Ends what is under way and closes every client, without waiting for the server."""
        lanes, self._lanes = self._lanes, []
        if not lanes or self._pid != os.getpid():  # a child may not touch what its parent has opened
            return
        recoveries = [lane.recovery for lane in lanes if lane.recovery is not None]
        for recovery in recoveries:
            recovery.cancel()
        for deadline in self._deadlines:
            with suppress(RuntimeError):  # it has passed already
                deadline.reschedule(0)
        if recoveries:
            await asyncio.wait(recoveries)
        while self._deadlines:
            self._ended.clear()
            await self._ended.wait()
        for timer in self._retired.values():
            timer.cancel()
        clients = [*(lane.client for lane in lanes), *self._retired]
        self._retired.clear()
        closings = [self._close(client) for client in clients]
        await asyncio.to_thread(_join, closings)

    # -- what is sent

    async def command(self, operation: str, *args: Argument, key: str | None = None, everywhere: bool = False) -> Reply:
        """The reply to one command.

        Args:
            operation: What is being done, for errors.
            args: The command and its arguments.
            key: On a cluster, the command goes to the primary that holds this key; without one to a random node.
            everywhere: Send it to every primary; the reply is then a map from node to reply.

        Raises:
            BackendError: See `translating`.
        """

        async def send(client: GlideClient | GlideClusterClient) -> Reply:
            if not self.cluster:
                reply = await cast("GlideClient", client).custom_command(list(args))
                return {self.location: reply} if everywhere else reply
            reply = await cast("GlideClusterClient", client).custom_command(
                list(args), _route(key, everywhere=everywhere)
            )
            return reply if not everywhere or isinstance(reply, dict) else {self.location: reply}

        return await self._call(self._control(operation), operation, send, key)

    async def run(self, operation: str, script: str, keys: Sequence[Argument], args: Sequence[Argument]) -> Reply:
        """The reply of a Lua script. Its text is sent only when the server does not know it.

        Args:
            operation: What is being done, for errors.
            script: The text.
            keys: The keys it touches, all of one slot.
            args: Its other arguments.

        Raises:
            BackendError: See `translating`.
        """
        # glide's own Script loads a text it misses on every primary, so one that is down would fail them all.
        digest = _digest(script)
        rest = [str(len(keys)), *keys, *args]
        route_key = _text(keys[0]) if keys else None

        async def send(client: GlideClient | GlideClusterClient) -> Reply:
            from glide import RequestError

            try:
                return await self._send(client, ["EVALSHA", digest, *rest], route_key)
            except RequestError as error:
                if "NoScriptError" not in str(error) and "NOSCRIPT" not in str(error):
                    raise
            return await self._send(client, ["EVAL", script, *rest], route_key)

        return await self._call(self._control(operation), operation, send, route_key)

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
        """
        limit = self.timeout if timeout is None else min(timeout, self.timeout)
        replica = search and self._read_from == "prefer_replica"

        async def send(client: GlideClient | GlideClusterClient) -> list[Reply]:
            from glide import Batch, BatchOptions, ClusterBatch, ClusterBatchOptions

            milliseconds = _milliseconds(limit)
            if self.cluster:
                spread = ClusterBatch(is_atomic=False)
                for command in commands:
                    spread.custom_command(list(command))
                options = ClusterBatchOptions(timeout=milliseconds, route=_slot(key, replica=replica))
                nodes = cast("GlideClusterClient", client)
                with self._nudging(nodes):
                    replies = await nodes.exec(spread, raise_on_error=False, options=options)
            else:
                batch = Batch(is_atomic=False)
                for command in commands:
                    batch.custom_command(list(command))
                single = BatchOptions(timeout=milliseconds)
                replies = await cast("GlideClient", client).exec(batch, raise_on_error=False, options=single)
            return replies or []

        lane = self._searching(operation) if search else self._control(operation)
        replies = [
            translated(reply, operation, self.location) if isinstance(reply, Exception) else reply
            for reply in await self._call(lane, operation, send, key, limit)
        ]
        for reply in replies:
            self._consider(lane, reply, key)
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
        from glide import ClusterScanCursor

        cursor: Any = cast("Any", ClusterScanCursor)() if self.cluster else "0"

        async def send(client: GlideClient | GlideClusterClient) -> Reply:
            return await cast("Any", client).scan(cursor, match=pattern, count=_SCAN_COUNT)

        finished = False
        while not finished:
            cursor, keys = await self._call(self._control(operation), operation, send, None)
            finished = cursor.is_finished() if self.cluster else cursor in (b"0", "0")
            if keys:
                yield keys

    # -- a call

    def _control(self, operation: str) -> _Lane:
        self._require_usable(operation)
        return self._lanes[0]

    def _searching(self, operation: str) -> _Lane:
        self._require_usable(operation)
        return min(self._lanes[1:] or self._lanes, key=lambda lane: lane.busy)

    def _require_usable(self, operation: str) -> None:
        if self._lanes and self._pid != os.getpid():
            finding, hint = "the connection was opened before a fork", "open the store in the process that uses it"
        elif not self._lanes:
            finding, hint = "the store is not open", ""
        elif self._loop is not asyncio.get_running_loop():
            finding, hint = "the connection belongs to another event loop", "open one store per event loop"
        else:
            return
        raise BackendUnavailable(f"{self.location}: {finding}", backend=BACKEND, operation=operation, hint=hint)

    async def _send(self, client: GlideClient | GlideClusterClient, args: Sequence[Argument], key: str | None) -> Reply:
        if self.cluster:
            return await cast("GlideClusterClient", client).custom_command(list(args), _route(key))
        return await cast("GlideClient", client).custom_command(list(args))

    async def _call(
        self,
        lane: _Lane,
        operation: str,
        send: Callable[[GlideClient | GlideClusterClient], Awaitable[Reply]],
        key: str | None,
        limit: float | None = None,
    ) -> Reply:
        """What `send` gives on the lane's client, in time or not at all."""
        lane.busy += 1
        deadline = asyncio.timeout(self.timeout if limit is None else limit)
        self._deadlines.add(deadline)
        try:
            with translating(operation, self.location):
                async with deadline:
                    client = await self._settled(lane)
                    return await send(client.glide)
        except BackendError as error:
            self._require_usable(operation)  # closed in the middle of the call
            self._consider(lane, error, key)
            raise
        finally:
            self._deadlines.discard(deadline)
            self._ended.set()
            lane.busy -= 1

    async def _settled(self, lane: _Lane) -> _Client:
        """The lane's client, once it is known whether the server can be reached.

        Raises:
            GlideError: It cannot.
        """
        if not lane.settled.is_set():
            self._recover(lane)
            await lane.settled.wait()
        if lane.failure is not None:
            raise lane.failure
        return lane.client

    @contextmanager
    def _nudging(self, client: GlideClusterClient) -> Iterator[None]:
        """Sends small commands beside a batch that takes longer than usual.

        While a node does not answer, glide 2.5 leaves batches for the others lying until something else happens.
        """
        loop = asyncio.get_running_loop()
        nudges: list[asyncio.Task[None]] = []
        timer = loop.call_later(_FIRST_NUDGE_SECONDS, lambda: nudges.append(loop.create_task(self._nudge(client))))
        try:
            yield
        finally:
            timer.cancel()
            for nudge in nudges:
                nudge.cancel()

    @staticmethod
    async def _nudge(client: GlideClusterClient) -> None:
        from glide import GlideError

        pause = _FIRST_NUDGE_SECONDS
        while True:
            with suppress(GlideError, TimeoutError):
                async with asyncio.timeout(pause):
                    await client.custom_command(list(_ECHO), _route(None))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_NUDGE_SECONDS)

    # -- recovery

    def _consider(self, lane: _Lane, reply: object, key: str | None) -> None:
        """Has every client that is in use asked again after an error of the connection: a black hole swallows all."""
        if not isinstance(reply, (BackendTimeout, Unreachable, NotPrimary)):
            return
        lane.outdated = lane.outdated or (isinstance(reply, NotPrimary) and not self.cluster)
        for each in self._lanes:
            if each.client.answered:
                self._recover(each, key)

    def _recover(self, lane: _Lane, key: str | None = None) -> None:
        """Starts the race for a lane unless it is on; on a cluster for the node of a key, else for any."""
        if lane.recovery is None or lane.recovery.done():
            lane.recovery = asyncio.get_running_loop().create_task(self._race(lane, key))

    async def _race(self, lane: _Lane, key: str | None) -> None:
        """Asks the lane's client, and new ones beside it, until one answers; that one is the lane's from then on."""
        asked: dict[asyncio.Task[None], _Client] = {}
        pause = _FIRST_RETRY_SECONDS
        began = time.monotonic()
        try:
            while True:
                await self._ask_more(lane, asked, key, again=pause > _FIRST_RETRY_SECONDS)
                winner = await self._answer(lane, asked, pause)
                if winner is not None:
                    self._install(lane, winner, time.monotonic() - began)
                    return
                pause = min(2 * pause, _LONGEST_RETRY_SECONDS)
        finally:
            for task, client in asked.items():
                task.cancel()
                if client is not lane.client and client not in self._retired:
                    self._close(client)

    async def _ask_more(
        self, lane: _Lane, asked: dict[asyncio.Task[None], _Client], key: str | None, *, again: bool
    ) -> None:
        """Asks the lane's client unless it is being asked, and `again` a new one unless there are enough of them."""
        clients = []
        if not lane.outdated and lane.client not in asked.values():
            clients.append(lane.client)
        connected = lane.client.answered or lane.client in asked.values()  # else the lane's is as good as a new one
        if len(asked) <= _RIVALS and (lane.outdated or (again and connected)):
            clients.append(await self._create())
        for client in clients:
            asked[asyncio.get_running_loop().create_task(self._ask(client, key))] = client

    async def _ask(self, client: _Client, key: str | None) -> None:
        limit = 2 * min(self.timeout, _CONNECT_SECONDS) + min(self.timeout, _ECHO_SECONDS)
        async with asyncio.timeout(limit):
            await self._send(client.glide, _ECHO, key)

    async def _answer(self, lane: _Lane, asked: dict[asyncio.Task[None], _Client], pause: float) -> _Client | None:
        """The first client that answers within `pause` seconds; the lane's own if several do."""
        until = time.monotonic() + pause
        while (left := until - time.monotonic()) > 0:
            if not asked:
                await asyncio.sleep(left)
                return None
            done, _ = await asyncio.wait(asked, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            heard = {asked.pop(task): task for task in done}
            answered = [client for client, task in heard.items() if self._alive(lane, client, task)]
            winner = lane.client if lane.client in answered else next(iter(answered), None)
            for client in heard:
                if client is not winner:
                    await self._discard(lane, client)
            if winner is not None:
                return winner
        return None

    def _alive(self, lane: _Lane, client: _Client, asked: asyncio.Task[None]) -> bool:
        """Whether the server was heard: an error of its own is an answer, on a connection that is made."""
        error = asked.exception()
        if error is None:
            return True
        found = translated(error, "connect", self.location)
        if client.answered and not isinstance(found, (BackendTimeout, Unreachable)):
            return True
        hung = isinstance(found, BackendTimeout)  # it may be slow: waiting is better than refusing
        if not hung and not (self.cluster and lane.client.answered):  # of a cluster other nodes may answer
            if lane.failure is None:
                _log.warning("%s", found)
            lane.failure = error
            lane.settled.set()
        return False

    async def _discard(self, lane: _Lane, client: _Client) -> None:
        """Closes a client that failed. The lane's own is kept if it was connected once, for glide reconnects it."""
        if client is not lane.client:
            self._close(client)
        elif not client.answered:  # glide goes on trying in the background for each time this failed
            lane.client = await self._create()
            self._close(client)

    def _install(self, lane: _Lane, winner: _Client, seconds: float) -> None:
        if winner is not lane.client:
            old, lane.client = lane.client, winner
            self._retire(old)
        if lane.failure is not None:
            _log.info("%s: connected again after %.1f s", self.location, seconds)
        winner.answered = True
        lane.outdated = False
        lane.failure = None
        lane.settled.set()

    # -- glide's clients

    def _retire(self, client: _Client) -> None:
        """Closes a client when every call on it has ended: it may answer yet."""
        loop = asyncio.get_running_loop()

        def close() -> None:
            del self._retired[client]
            self._close(client)

        self._retired[client] = loop.call_later(self.timeout, close)

    @staticmethod
    def _close(client: _Client) -> threading.Thread:
        """Closes a client on a thread: glide waits for what it runs, a name look-up for example."""
        thread = threading.Thread(
            target=lambda: asyncio.run(client.glide.close()), name="memory-valkey-close", daemon=True
        )
        thread.start()
        return thread

    async def _create(self) -> _Client:
        """A client that connects at its first command: making a connected one would block the loop meanwhile."""
        from glide import GlideClient, GlideClusterClient, Logger, LogLevel

        Logger.init(LogLevel.OFF)  # glide prints to stdout else; an application that wants it configures it before
        if self.cluster:
            return _Client(await GlideClusterClient.create(self._cluster_configuration()))
        from glide import AdvancedGlideClientConfiguration, GlideClientConfiguration

        advanced = AdvancedGlideClientConfiguration(
            connection_timeout=self._connect_ms(), tls_config=self._tls_settings()
        )
        return _Client(await GlideClient.create(GlideClientConfiguration(advanced_config=advanced, **self._settings())))

    def _cluster_configuration(self) -> GlideClusterClientConfiguration:
        from glide import AdvancedGlideClusterClientConfiguration, GlideClusterClientConfiguration

        advanced = AdvancedGlideClusterClientConfiguration(
            connection_timeout=self._connect_ms(), tls_config=self._tls_settings()
        )
        return GlideClusterClientConfiguration(advanced_config=advanced, **self._settings())

    def _connect_ms(self) -> int:
        return _milliseconds(min(self.timeout, _CONNECT_SECONDS))

    def _settings(self) -> dict[str, Any]:
        """What the configurations of both kinds of client have in common."""
        from glide import BackoffStrategy, NodeAddress, ProtocolVersion, ReadFrom, ServerCredentials

        reads = ReadFrom.PREFER_REPLICA if self._read_from == "prefer_replica" else ReadFrom.PRIMARY
        credentials = ServerCredentials(self._password, self._username or None) if self._password else None
        return {
            "addresses": [NodeAddress(host, port) for host, port in self.addresses],
            "use_tls": self.tls is not None,
            "credentials": credentials,
            "read_from": reads,
            "request_timeout": _milliseconds(self.timeout),
            "reconnect_strategy": BackoffStrategy(
                _RECONNECT_STEPS, _RECONNECT_MS // _RECONNECT_BASE, _RECONNECT_BASE, _RECONNECT_JITTER_PERCENT
            ),
            "database_id": self.database,
            "client_name": self._client_name,
            "protocol": ProtocolVersion.RESP3,
            "inflight_requests_limit": _IN_FLIGHT,
            "lazy_connect": True,
        }

    def _tls_settings(self) -> Any:
        from glide import TlsAdvancedConfiguration

        if self.tls is None:
            return None
        return TlsAdvancedConfiguration(
            use_insecure_tls=self.tls.insecure or None,
            root_pem_cacerts=self.tls.ca,
            client_cert_pem=self.tls.certificate,
            client_key_pem=self.tls.key,
        )


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join(_CLOSE_SECONDS)


@lru_cache(maxsize=16)
def _digest(script: str) -> str:
    """What EVALSHA calls a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _text(key: Argument) -> str:
    return key if isinstance(key, str) else key.decode()


def _slot(key: str, *, replica: bool = False) -> Any:
    from glide import SlotKeyRoute, SlotType

    return SlotKeyRoute(SlotType.REPLICA if replica else SlotType.PRIMARY, key)


def _route(key: str | None, *, everywhere: bool = False) -> Route:
    from glide import AllPrimaries, RandomNode

    if everywhere:
        return AllPrimaries()
    return RandomNode() if key is None else cast("Route", _slot(key))
