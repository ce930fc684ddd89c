"""What the tests of faults share: stores that are not emptied, waiting without a fixed time, and the loop's lag."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from router_memory.backends.valkey import Connection, ValkeyStore
from router_memory.errors import BackendUnavailable
from router_memory.types import Scope
from tests.contract.samples import DIMENSION, FINGERPRINT
from tests.servers.census import census

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from router_memory.types import MemoryWrite
    from tests.servers.process import Endpoint

__all__ = ["PATIENCE", "Lag", "eventually", "faults_of", "opened", "store", "stored"]

PATIENCE = 30.0
"""Seconds after which a test gives up; none takes that long where things go well."""

_POLL_SECONDS = 0.02


def store(
    addresses: Sequence[tuple[str, int]],
    *,
    cluster: bool = False,
    timeout: float = 5.0,
    connection: dict[str, Any] | None = None,
    **options: Any,
) -> ValkeyStore:
    """A store that is not open yet, under the names of the default configuration."""
    chosen: dict[str, Any] = {"dimension": DIMENSION, "fingerprint": FINGERPRINT} | options
    link = Connection(addresses=list(addresses), cluster=cluster, timeout=timeout, **(connection or {}))
    return ValkeyStore(link, **chosen)


@asynccontextmanager
async def opened(addresses: Sequence[tuple[str, int]], **options: Any) -> AsyncIterator[ValkeyStore]:
    """An open store, closed at the end; what it holds stays."""
    made = store(addresses, **options)
    try:
        await made.open()
        yield made
    finally:
        await made.close()


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = PATIENCE) -> float:
    """Waits until a check holds, a store that is away counting as no. Returns how long that took.

    Raises:
        TimeoutError: It did not come to hold.
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(BackendUnavailable):
            if await check():
                return time.monotonic() - began
        await asyncio.sleep(_POLL_SECONDS)
    raise TimeoutError("it did not come to hold")


async def stored(target: ValkeyStore, scope: Scope, write: MemoryWrite) -> None:
    """Adds a memory, again and again while the server is away: writing twice is safe."""

    async def added() -> bool:
        return bool(await target.add(scope, [write]))

    await eventually(added)


def faults_of(server: Endpoint, prefix: str = "mem:") -> list[str]:
    """What does not add up in the data."""
    return census(server.host, server.port, prefix).faults()


class Lag:
    """Measures by how much the event loop is late; `worst` is in seconds."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _measure(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_POLL_SECONDS)
            self.worst = max(self.worst, time.monotonic() - began - _POLL_SECONDS)
