"""Where the memories of a run live: a file of the run's own, or a Valkey server with the Search module."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.quality.lookups import Lookups
from router_memory import MemoryPlugin
from router_memory.pipeline.recall import Recall
from router_memory.wiring import Assembly, assemble

__all__ = ["Backend", "Opened", "backend", "configuration"]

EMBEDDED = "embedded"
VALKEY = "valkey"
_TIMEOUT_SECONDS = 60
_NO_MODULE = "0.0.0"


@dataclass(frozen=True, slots=True)
class Opened:
    """A plugin on an empty store of its own.

    Attributes:
        parts: What the plugin consists of.
        lookups: What its searches go through.
    """

    plugin: MemoryPlugin
    parts: Assembly
    lookups: Lookups


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of store.

    Attributes:
        name: As in the configuration.
        address: Of the server, host and port; ``None`` where there is none.
        versions: Of the server, its module and the client.
    """

    name: str
    address: tuple[str, int] | None
    versions: Mapping[str, str]

    @asynccontextmanager
    async def document(self, config: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The configuration with an empty store, which is gone when the block ends."""
        document = copy.deepcopy(dict(config))
        memory = _memory(document)
        memory["backend"] = self.name
        if self.address is None:
            with tempfile.TemporaryDirectory() as folder:
                memory.setdefault(EMBEDDED, {})["path"] = str(Path(folder) / "memory.db")
                yield document
            return
        from tests.servers.stores import clear, fresh_names  # its client is loaded by those who use it

        names, (host, port) = fresh_names(), self.address
        memory[VALKEY] = memory.get(VALKEY) or {}
        memory[VALKEY] |= {"host": host, "port": port, "timeout": _TIMEOUT_SECONDS}
        memory[VALKEY] |= {"collection_prefix": names["prefix"], "index_name": names["index_name"]}
        try:
            yield document
        finally:
            await clear([self.address], names["prefix"], names["index_name"], cluster=False)

    @asynccontextmanager
    async def opened(self, config: Mapping[str, Any]) -> AsyncIterator[Opened]:
        """A plugin on an empty store."""
        async with self.document(config) as document:
            parts = assemble(document)
            async with MemoryPlugin(parts) as plugin:
                lookups = Lookups(parts)
                parts.recall = Recall(lookups, lambda: lookups.calibration)
                yield Opened(plugin, parts, lookups)


@contextmanager
def backend(name: str, address: str | None = None) -> Iterator[Backend]:
    """A backend that is there while the block runs; without an address, Valkey is started as the tests start it.

    Raises:
        SystemExit: There is no server with Search, or the address is none; it says what to do.
    """
    if name == EMBEDDED:
        if address is not None:
            raise SystemExit("--address is of --backend valkey")
        yield Backend(EMBEDDED, None, {})
        return
    from bench.valkey.server import own_server, server_versions
    from tests.servers.find import find, running
    from tests.servers.process import Endpoint

    try:
        named = _host_and_port(address) if address is not None else running()
        if named is None:
            find()  # what is named and not there is said before anything is started
    except ValueError as error:
        raise SystemExit(str(error)) from None
    if named is None:
        with own_server() as server:
            yield Backend(VALKEY, server.address, server_versions(server))
        return
    try:
        versions = server_versions(Endpoint(*named))
    except OSError as error:
        raise SystemExit(f"no server answers at {named[0]}:{named[1]}: {error}") from None
    if versions["valkey-search"] == _NO_MODULE:
        raise SystemExit(f"the server at {named[0]}:{named[1]} has no Search module: load it, or name another")
    yield Backend(VALKEY, named, versions)


def configuration(path: Path, *, runtime: str | None = None) -> dict[str, Any]:
    """The configuration file as a document.

    Args:
        runtime: In place of the configured `embedding.runtime`.
    """
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if runtime is not None:
        memory = _memory(document)
        memory["embedding"] = (memory.get("embedding") or {}) | {"runtime": runtime}
    return document


def _memory(document: dict[str, Any]) -> dict[str, Any]:
    memory: dict[str, Any] = document.setdefault("global", {}).setdefault("stores", {}).setdefault("memory", {})
    return memory


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--address must be host:port, not {address!r}")
    return host, int(port)
