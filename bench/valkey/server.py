"""A server of the benchmark's own, without persistence, with the Search module; stores and bare clients on it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.valkey.settings import DIMENSION, FINGERPRINT
from router_memory.backends.valkey import Connection, ValkeyStore
from tests.servers.find import NO_SEARCH, find
from tests.servers.process import Endpoint, Server

if TYPE_CHECKING:
    from glide import GlideClient

__all__ = [
    "PREFIX",
    "Bare",
    "Command",
    "Recording",
    "bare_client",
    "glide_client",
    "info",
    "own_server",
    "redirected",
    "server_versions",
    "store_on",
]

Command = tuple[str | bytes, ...]

PREFIX = "mem:"
_SECONDS = 120.0
_CONFIG = {"save": '""', "appendonly": "no", "slowlog-log-slower-than": "1000", "slowlog-max-len": "100000"}


@contextmanager
def own_server() -> Iterator[Server]:
    """A server that ends with the block.

    Raises:
        SystemExit: There is none with the Search module here.
    """
    found = find()
    if not found.command or found.module is None:
        raise SystemExit(NO_SEARCH)
    with tempfile.TemporaryDirectory(prefix="valkey-bench-") as folder:
        server = Server(found, Path(folder), search=True, config=_CONFIG)
        server.start()
        try:
            yield server
        finally:
            server.kill()


class Recording(Connection):
    """A connection that notes what is sent through it in pipelines."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sent: list[Command] = []

    async def pipeline(self, operation: str, commands: Sequence[Sequence[str | bytes]], **options: Any) -> list[Any]:
        """See `Connection.pipeline`."""
        self.sent += [tuple(command) for command in commands]
        return await super().pipeline(operation, commands, **options)

    def searches(self) -> tuple[Command, ...]:
        """The FT.SEARCH calls since the last time that look for something, and do not only count."""
        found = tuple(command for command in self.sent if command[0] == "FT.SEARCH" and "PARAMS" in command)
        self.sent.clear()
        return found


@asynccontextmanager
async def store_on(server: Server, connection: Connection | None = None, **options: Any) -> AsyncIterator[ValkeyStore]:
    """An open store."""
    through = connection or Connection(addresses=[server.address], timeout=_SECONDS)
    store = ValkeyStore(through, dimension=DIMENSION, fingerprint=FINGERPRINT, prefix=PREFIX, **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class Bare:
    """One client of glide's and nothing around it."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def command(self, *args: str | bytes) -> Any:
        """The reply to one command."""
        return await self._client.custom_command(list(args))

    async def one_by_one(self, commands: Sequence[Sequence[str | bytes]]) -> None:
        """Sends each command when the one before was answered."""
        for command in commands:
            await self._client.custom_command(list(command))

    async def at_once(self, commands: Sequence[Sequence[str | bytes]]) -> list[Any]:
        """The replies to commands sent in one round trip."""
        from glide import Batch

        batch = Batch(is_atomic=False)
        for command in commands:
            batch.custom_command(list(command))
        replies: list[Any] = await self._client.exec(batch, raise_on_error=True)
        return replies


def redirected(call: Command, index: str, *, where: str | None = None, ef: int) -> Command:
    """A KNN search as the store sends it, turned to a graph.

    Args:
        call: The FT.SEARCH.
        index: Another index.
        where: Another filter; ``None`` keeps it.
        ef: EF_RUNTIME.
    """
    text = call[2] if isinstance(call[2], str) else call[2].decode()
    filtered, arrow, knn = text.partition("=>")
    knn = re.sub(r" EF_RUNTIME \d+", "", knn).replace(" AS ", f" EF_RUNTIME {ef} AS ")
    return (call[0], index, (filtered if where is None else where) + arrow + knn, *call[3:])


@asynccontextmanager
async def glide_client(server: Server) -> AsyncIterator[GlideClient]:
    """A client of glide's and nothing around it, connected."""
    from glide import GlideClient, GlideClientConfiguration, Logger, LogLevel, NodeAddress, ProtocolVersion

    Logger.init(LogLevel.OFF)
    configuration = GlideClientConfiguration(
        [NodeAddress(server.host, server.port)], request_timeout=int(_SECONDS * 1000), protocol=ProtocolVersion.RESP3
    )
    client = await GlideClient.create(configuration)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def bare_client(server: Server) -> AsyncIterator[Bare]:
    """A connected client."""
    async with glide_client(server) as client:
        yield Bare(client)


def info(server: Endpoint, section: str = "everything") -> dict[str, str]:
    """What INFO says."""
    reply = server.ask("INFO", section)
    assert isinstance(reply, bytes)
    pairs = (line.partition(":") for line in reply.decode().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def server_versions(server: Endpoint) -> dict[str, str]:
    """Of the server, the module and the client."""
    from importlib.metadata import version

    modules = server.ask("MODULE", "LIST")
    assert isinstance(modules, list)
    search: dict[Any, Any] = {}
    for module in modules:
        assert isinstance(module, list)
        pairs = dict(zip(module[::2], module[1::2], strict=True))
        if pairs.get(b"name") == b"search":
            search = pairs
    number = int(search.get(b"ver", 0))
    return {
        "valkey": info(server, "server").get("valkey_version", ""),
        "valkey-search": f"{number >> 16}.{number >> 8 & 255}.{number & 255}",
        "valkey-glide": version("valkey-glide"),
    }
