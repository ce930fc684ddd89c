"""One client of glide's: the two kinds, for a server and for a cluster, behind one face.

Its errors are glide's own; see `translating`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from router_memory.backends.valkey.settings import cluster_configuration, milliseconds, server_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glide import GlideClient, GlideClusterClient, Route

    from router_memory.backends.valkey.deadline import Deadline
    from router_memory.backends.valkey.settings import Settings

__all__ = ["Argument", "Client", "Cursor", "Reply", "join"]

Reply: TypeAlias = Any  # what RESP3 can hold: bytes, int, float, bool, None, "OK", lists, sets and maps of them
Argument: TypeAlias = str | bytes
Cursor: TypeAlias = Any  # bytes of a server; of a cluster an object of glide's

_ECHO = ("ECHO", "router-memory")  # unlike PING a server answers it when it cannot save or lost its primary
_SCAN_COUNT = 1_000
_FIRST_NUDGE_SECONDS = 0.01
_LONGEST_NUDGE_SECONDS = 0.1
_CLOSE_SECONDS = 2.0


class Client:
    """A client of glide's. It connects at its first command, and reconnects by itself after a connection is closed.

    Args:
        glide: The client.
        cluster: Whether it is one of a cluster.

    Attributes:
        answered: Whether the server has ever answered through it; set by its owner.
        calls: The deadlines of the calls under way on it; kept by its owner.
    """

    def __init__(self, glide: GlideClient | GlideClusterClient, *, cluster: bool) -> None:
        self.answered = False
        self.calls: set[Deadline] = set()
        self._glide = glide
        self._cluster = cluster

    @classmethod
    async def create(cls, settings: Settings) -> Client:
        """A client that is not connected yet.

        Raises:
            GlideError: The settings do not fit together, or the process has no means for another client.
        """
        from glide import GlideClient, GlideClusterClient, Logger, LogLevel

        Logger.init(LogLevel.OFF)  # glide prints to stdout else; an application that wants it configures it before
        if settings.cluster:
            return cls(await GlideClusterClient.create(cluster_configuration(settings)), cluster=True)
        return cls(await GlideClient.create(server_configuration(settings)), cluster=False)

    async def command(
        self, args: Sequence[Argument], key: str | None = None, *, everywhere: bool = False, node: str | None = None
    ) -> Reply:
        """The reply to one command.

        Args:
            args: The command and its arguments.
            key: On a cluster, the command goes to the primary that holds this key; without one to a random node.
            everywhere: On a cluster, send it to every primary; the reply is a map from node to reply.
            node: On a cluster, send it to this node, named as in such a map.
        """
        if self._cluster:
            nodes = cast("GlideClusterClient", self._glide)
            return await nodes.custom_command(list(args), _route(key, everywhere=everywhere, node=node))
        return await cast("GlideClient", self._glide).custom_command(list(args))

    async def echo(self, key: str | None) -> None:
        """Returns when the server has answered: on a cluster the primary that holds the key, or any node."""
        await self.command(_ECHO, key)

    async def batch(
        self, commands: Sequence[Sequence[Argument]], key: str, *, replica: bool, seconds: float
    ) -> list[Reply]:
        """The replies to several commands, run in order on one connection; an error in the place of a failed one's.

        Args:
            commands: The commands with their arguments.
            key: On a cluster, all go to the node that holds this key.
            replica: On a cluster, a replica of that node if it has one.
            seconds: The longest the batch may take.
        """
        from glide import Batch, BatchOptions, ClusterBatch, ClusterBatchOptions

        timeout = milliseconds(seconds)
        if not self._cluster:
            batch = Batch(is_atomic=False)
            for command in commands:
                batch.custom_command(list(command))
            single = BatchOptions(timeout=timeout)
            server = cast("GlideClient", self._glide)
            return await server.exec(batch, raise_on_error=False, options=single) or []
        spread = ClusterBatch(is_atomic=False)
        for command in commands:
            spread.custom_command(list(command))
        options = ClusterBatchOptions(timeout=timeout, route=_slot(key, replica=replica))
        with self._nudging():
            nodes = cast("GlideClusterClient", self._glide)
            return await nodes.exec(spread, raise_on_error=False, options=options) or []

    async def scan(self, cursor: Cursor | None, pattern: str) -> tuple[Cursor | None, list[bytes]]:
        """Some of the keys that match a pattern, of all nodes, and where to go on.

        Args:
            cursor: What the call before returned; None for the first.
            pattern: As of SCAN.

        Returns:
            The cursor of the next call, None when this was the last; and keys, perhaps none.
        """
        from glide import ClusterScanCursor

        if cursor is None:
            cursor = cast("Any", ClusterScanCursor)() if self._cluster else "0"
        cursor, keys = await cast("Any", self._glide).scan(cursor, match=pattern, count=_SCAN_COUNT)
        finished = cursor.is_finished() if self._cluster else cursor in (b"0", "0")
        return None if finished else cursor, keys

    def end_calls(self) -> None:
        """Makes the calls under way on it miss their deadlines now."""
        for deadline in tuple(self.calls):
            deadline.end()

    def close(self) -> threading.Thread:
        """Closes the client on a thread, which is returned: glide waits for what it runs, a name look-up for example.

        No call may be under way or follow: glide frees memory that they use.
        """
        thread = threading.Thread(
            target=lambda: asyncio.run(self._glide.close()), name="memory-valkey-close", daemon=True
        )
        thread.start()
        return thread

    @contextmanager
    def _nudging(self) -> Iterator[None]:
        """Sends small commands beside a batch that takes longer than usual.

        While a node does not answer, glide 2.5 leaves batches for the others lying until something else happens.
        """
        loop = asyncio.get_running_loop()
        nudges: list[asyncio.Task[None]] = []
        timer = loop.call_later(_FIRST_NUDGE_SECONDS, lambda: nudges.append(loop.create_task(self._nudge())))
        try:
            yield
        finally:
            timer.cancel()
            for nudge in nudges:
                nudge.cancel()

    async def _nudge(self) -> None:
        from glide import GlideError

        pause = _FIRST_NUDGE_SECONDS
        while True:
            with suppress(GlideError, TimeoutError):
                async with asyncio.timeout(pause):
                    await self.echo(None)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_NUDGE_SECONDS)


def join(closings: Sequence[threading.Thread]) -> None:
    """Waits until clients are closed, two seconds for all of them: what hangs is left to its daemon thread."""
    until = time.monotonic() + _CLOSE_SECONDS
    for thread in closings:
        thread.join(max(0.0, until - time.monotonic()))


def _slot(key: str, *, replica: bool = False) -> Any:
    from glide import SlotKeyRoute, SlotType

    return SlotKeyRoute(SlotType.REPLICA if replica else SlotType.PRIMARY, key)


def _route(key: str | None, *, everywhere: bool, node: str | None) -> Route:
    from glide import AllPrimaries, ByAddressRoute, RandomNode

    if everywhere:
        return AllPrimaries()
    if node is not None:
        host, _, port = node.rpartition(":")
        return ByAddressRoute(host, int(port))
    return RandomNode() if key is None else cast("Route", _slot(key))
