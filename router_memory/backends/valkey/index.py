"""The index over everything: created once, checked against the configuration, watched while it fills."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from router_memory.backends.valkey.damage import reading
from router_memory.backends.valkey.keys import schema_key
from router_memory.backends.valkey.schema import VERSION, IndexInfo, Layout, Shape, create_main, parse_info
from router_memory.backends.valkey.scripts import script
from router_memory.backends.valkey.totals import cluster_summary
from router_memory.backends.valkey.translate import BACKEND, IndexExists, IndexMissing, translated
from router_memory.errors import BackendError, BackendRejected, BackendUnavailable, IndexMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router_memory.backends.valkey.connection import Connection

__all__ = ["FILL_SECONDS", "MainIndex"]

FILL_SECONDS = 0.02
"""How long a new index is left alone between two looks at it."""

_log = logging.getLogger("router_memory.valkey")

_MOVE = (
    "configure the old model again; or give the new one a collection_prefix and an index_name of its own and move the "
    "memories: router-memory export --all --config OLD.yaml | router-memory import - --config NEW.yaml"
)
_POLL_SECONDS = 0.2
_LOOK_SECONDS = 0.05
"""How long calls wait for another look at data that were fine before."""
_CREATE_SECONDS = 2.0
"""How long the nodes of a cluster are given to agree on a new index before it is looked for."""
_FILL_TRIES = 100
"""A new index is waited for this often; a large one fills on while searches say that they are partial."""


class MainIndex:
    """The index that holds every memory.

    Args:
        connection: The server.
        name, prefix: Of the index and of the keys.
        layout: What the data are to be; ``None`` takes what the server says they are.
        shape: How they are to be indexed.
    """

    def __init__(self, connection: Connection, *, name: str, prefix: str, layout: Layout | None, shape: Shape) -> None:
        self.name = name
        self.prefix = prefix
        self.shape = shape
        self._connection = connection
        self._wanted = layout
        self._layout = layout
        self._verifying: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._doubted = False
        self._verified = False
        self._ready = False
        self._progress = 0.0
        self._watcher: asyncio.Task[None] | None = None

    @property
    def layout(self) -> Layout | None:
        """What the data are; ``None`` until that is known."""
        return self._layout

    @property
    def ready(self) -> bool:
        """Whether the index holds every memory, as far as this process knows."""
        return self._ready

    @property
    def progress(self) -> float:
        """How much of the data a new index has looked at, in [0, 1]."""
        return self._progress

    def missing(self) -> None:
        """Makes the next call see to the index first: it turned out not to be there."""
        self._verified = False

    def look_again(self) -> None:
        """Has the next call begin another look at what the data are, for which calls wait a moment.

        Unlike `missing` it costs nobody a memory when that cannot be found out, for a node of the cluster is away.
        """
        self._doubted = True

    async def _look(self) -> None:
        """Compares what is there with what was; says nothing of whether it is full, for a write is just under way."""
        try:
            info = await self._info("verify", schema_key(self.prefix))
            layout = await self._claim("verify")
            if info is None:
                self._verified = False  # the next call creates it
            else:
                self.compare("verify", info, layout)
                self._layout = layout
        except BackendUnavailable as error:
            _log.info("not looked at again: %s", error)
        except BackendError:
            self._verified = False  # the next call says it
        finally:
            self._looking = None

    async def ensure(self, operation: str, key: str | None = None, *, within: float | None = None) -> None:
        """Makes sure that the index is there and fits; costs nothing once it was seen to.

        Without a layout of its own, which has no vectors to search with, it creates nothing. All who wait at the same
        time wait for the same look at the server, each as long as it may.

        Args:
            operation: What is being done, for errors.
            key: On a cluster, the node that holds this key is looked at; each node has an index of its own keys.
            within: Seconds; ``None`` for the connection's timeout.

        Raises:
            IndexMismatch: It was made with another dimension, metric, algorithm, embedder or layout.
            BackendRejected: The server has no Search module, or forbids.
            BackendUnavailable: The server cannot be reached.
        """
        if self._doubted and self._verified and self._looking is None:
            self._doubted = False
            self._looking = asyncio.create_task(self._look(), name="router-memory-look")
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=_LOOK_SECONDS)
        if self._verified:
            return
        if self._verifying is None or self._verifying.done():
            self._verifying = asyncio.create_task(self._verify(operation, key), name="router-memory-verify")
            self._verifying.add_done_callback(_retrieve)
        # Not `asyncio.timeout`, which cancels the task it was entered in: one may begin a read and another end it.
        seconds = self._connection.timeout if within is None else max(within, 0.001)
        done, _ = await asyncio.wait([self._verifying], timeout=seconds)
        if not done:
            raise translated(TimeoutError(), operation, self._connection.location)
        await asyncio.shield(self._verifying)

    async def _verify(self, operation: str, key: str | None) -> None:
        where = schema_key(self.prefix) if key is None else key
        info = await self._info(operation, where)  # first, for a server without Search is to stay as it is
        if info is not None:
            self.compare(operation, info)  # before anything is written beside somebody else's index
        layout = await self._claim(operation)
        if info is None and self._wanted is not None:
            info = await self._create(operation, layout, where)
        if info is not None:
            self.compare(operation, info, layout)
            self._take(info)
        self._layout = layout
        self._verified = True

    async def refresh(self, operation: str, key: str) -> None:
        """Looks at the index on the node that holds a key."""
        info = await self._info(operation, key)
        if info is None:
            self.missing()
        else:
            self._take(info)

    def observe(self, reply: object) -> IndexInfo:
        """Takes note of what FT.INFO said of it, and gives it."""
        with reading("FT.INFO", self._connection.location):
            info = parse_info(reply)
        self._take(info)
        return info

    def foreign_data(self, operation: str) -> IndexMismatch:
        """The error for data of a user that were written with another embedder than the one configured."""
        fingerprint = self._layout.fingerprint if self._layout is not None else ""
        says = f"a user's data were not written with embedder {fingerprint}: another process uses this collection too"
        return self._mismatch(operation, says, (fingerprint, "another embedder"), _MOVE)

    def unsettled(self, operation: str) -> BackendUnavailable:
        """The error for an index that comes and goes."""
        return BackendUnavailable(
            f"{self._connection.location}: the index {self.name} is being changed", backend=BACKEND, operation=operation
        )

    async def summary(self, operation: str) -> IndexInfo | None:
        """What the server, or the whole cluster, says of the index; ``None`` when there is none."""
        key = schema_key(self.prefix)
        info = await self._info(operation, key)
        if info is None or not self._connection.cluster:
            return info
        return await cluster_summary(self._connection, operation, info, key=key)

    async def close(self) -> None:
        """Stops looking at the server."""
        for task in (self._watcher, self._verifying, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])

    async def _claim(self, operation: str) -> Layout:
        """Writes down what the data are, unless that is written, and compares.

        Raises:
            IndexMismatch: They are something else than configured.
            BackendRejected: There are no data, and what they are to be is not configured.
        """
        key, location = schema_key(self.prefix), self._connection.location
        wanted = self._wanted
        if wanted is None:
            found = _fields(await self._connection.command(operation, "HGETALL", key, key=key))
        else:
            found = _fields(await self._connection.run(operation, script("claim"), [key], wanted.values()))
        if not found:
            raise BackendRejected(
                f"{location}: there are no memories under {self.prefix}",
                backend=BACKEND,
                operation=operation,
                hint="check valkey.database and valkey.collection_prefix; the first memory stored makes them",
            )
        return self.compare_layout(operation, found)

    def compare_layout(self, operation: str, found: Mapping[str, str]) -> Layout:
        """What is written of the data, when it fits the configuration.

        Raises:
            IndexMismatch: They are something else than configured.
            BackendRejected: What is written there is not ours.
        """
        try:
            layout = Layout(int(found["dimension"]), found["fingerprint"], found["version"])
        except (KeyError, ValueError):
            raise BackendRejected(
                f"{self._connection.location}: {schema_key(self.prefix)} does not say what the data are",
                backend=BACKEND,
                operation=operation,
                hint="another program uses this collection_prefix: configure one of your own",
            ) from None
        self._check_layout(operation, layout)
        return layout

    def _check_layout(self, operation: str, found: Layout) -> None:
        if found.version != VERSION:
            raise self._mismatch(
                operation,
                f"the data have layout {found.version}, this version writes {VERSION}",
                (VERSION, found.version),
                "use the version of router-memory that wrote them, or export with it and import here, under another "
                "collection_prefix and index_name",
            )
        wanted = self._wanted
        if wanted is None:
            return
        pairs = {
            "embedder": (wanted.fingerprint, found.fingerprint),
            "dimension": (str(wanted.dimension), str(found.dimension)),
        }
        different = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if different:
            written = ", ".join(f"{name} {there}" for name, (_, there) in different.items())
            asked = ", ".join(here for here, _ in different.values())
            raise self._mismatch(
                operation,
                f"the data were written with {written}, the configuration asks for {asked}",
                (asked, ", ".join(there for _, there in different.values())),
                _MOVE,
            )

    def compare(self, operation: str, info: IndexInfo, layout: Layout | None = None) -> None:
        """Raises `IndexMismatch` unless the index is as configured for data of that layout, if it is known."""
        theirs = [prefix.removesuffix("{") for prefix in info.prefixes]
        if theirs != [self.prefix]:
            raise self._mismatch(
                operation,
                f"the index {self.name} belongs to the collection {', '.join(theirs)}, not to {self.prefix}",
                (self.prefix, ", ".join(theirs)),
                f"configure collection_prefix: {theirs[0]!r} if those memories are meant, or give this collection an "
                "index_name of its own",
            )
        wanted = {
            "dimension": str(layout.dimension if layout is not None else info.dimension),
            "metric_type": self.shape.metric,
            "index_type": self.shape.index_type.upper(),
        }
        found = {"dimension": str(info.dimension), "metric_type": info.metric, "index_type": info.algorithm}
        different = [name for name, value in wanted.items() if found[name] != value]
        if different:
            raise self._mismatch(
                operation,
                f"the index {self.name} has "
                + ", ".join(f"{name} {found[name]} instead of {wanted[name]}" for name in different),
                (", ".join(wanted[name] for name in different), ", ".join(found[name] for name in different)),
                "configure what it has, or another index_name; to index the memories anew as configured, stop every "
                f"process that uses it and drop it, which keeps the memories: {self.drop_command}",
            )

    @property
    def drop_command(self) -> str:
        """What an operator types; the login and TLS options of the server come on top."""
        host, port = self._connection.addresses[0]
        return f"valkey-cli -h {host} -p {port} -n {self._connection.database} FT.DROPINDEX {self.name}"

    def _mismatch(self, operation: str, says: str, values: tuple[str, str], hint: str) -> IndexMismatch:
        return IndexMismatch(
            f"{self._connection.location}: {says}",
            backend=BACKEND,
            operation=operation,
            expected=values[0],
            found=values[1],
            hint=hint,
        )

    async def _info(self, operation: str, key: str) -> IndexInfo | None:
        """What the node that holds a key says of the index; ``None`` when it has none."""
        try:
            reply = await self._connection.command(operation, "FT.INFO", self.name, key=key)
        except IndexMissing:
            return None
        with reading(operation, self._connection.location):
            return parse_info(reply)

    async def _create(self, operation: str, layout: Layout, key: str) -> IndexInfo:
        """Creates the index, as others may do at the same time, and waits a moment for it to fill.

        Nodes of a cluster with a search coordinator tell each other of it; without one each gets its own when
        it is found to lack it. A coordinator answers only when all nodes have the very version this call made, which
        they never do once another process's call came after it (ft_create.cc of Search 1.2.1): so a silence, or a
        complaint about nodes, says nothing of the index, and the node is asked whether it has it.
        """
        command = create_main(self.name, self.prefix, layout.dimension, self.shape)
        _log.info("%s: creating the index %s", self._connection.location, self.name)
        with suppress(IndexExists, BackendUnavailable):
            await self._connection.command(operation, *command, key=key, timeout=_CREATE_SECONDS)
        info = None
        for _ in range(_FILL_TRIES):
            info = await self._info(operation, key)
            if info is not None and info.ready:
                return info
            await asyncio.sleep(FILL_SECONDS)
        if info is not None:
            return info
        raise BackendUnavailable(
            f"{self._connection.location}: the index {self.name} was created and is not there",
            backend=BACKEND,
            operation=operation,
        )

    def _take(self, info: IndexInfo) -> None:
        self._ready = info.ready
        self._progress = info.progress
        if not info.ready and (self._watcher is None or self._watcher.done()):
            self._watcher = asyncio.create_task(self._watch(), name="router-memory-index")

    async def _watch(self) -> None:
        """Looks at an index that fills until it is full, so that searches know."""
        while not self._ready:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                info = await self.summary("open")
            except BackendError as error:
                _log.warning("while the index %s fills: %s", self.name, error)
                return
            if info is None:
                self.missing()
                return
            self._take(info)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Looks at how a task ended, for those who waited may all have left."""
    if not task.cancelled():
        task.exception()


def _fields(reply: Mapping[bytes, bytes] | list[bytes]) -> dict[str, str]:
    """The fields of a hash, which come as a map or as a list of names and values in turn."""
    pairs = reply.items() if not isinstance(reply, list) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}
