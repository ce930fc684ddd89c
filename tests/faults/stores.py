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
from tests.servers.stores import PATIENCE, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from router_memory.types import MemoryWrite
    from tests.servers.process import Endpoint

__all__ = ["PATIENCE", "SMALL_LAG", "Lag", "eventually", "faults_of", "opened", "store", "stored"]

SMALL_LAG = 0.3
"""Seconds by which an event loop may be late, as long as a request has."""

_POLL_SECONDS = 0.02
_TICK_SECONDS = 0.005
_HICCUP_SECONDS = 0.75


def store(
    addresses: Sequence[tuple[str, int]],
    *,
    cluster: bool = False,
    timeout: float = TIMEOUT,
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


async def stored(target: ValkeyStore, scope: Scope, *writes: MemoryWrite) -> None:
    """Adds memories in one call, again and again while the server is away: writing twice is safe."""

    async def added() -> bool:
        return bool(await target.add(scope, writes))

    await eventually(added)


def faults_of(server: Endpoint, prefix: str = "mem:") -> list[str]:
    """What does not add up in the data."""
    return census(server.host, server.port, prefix).faults()


class Lag:
    """How late the event loop was, tick by tick."""

    def __init__(self) -> None:
        self._late = [0.0, 0.0]

    def stayed_small(self) -> bool:
        """Whether it stayed below a request's deadline, but for one hiccup of a busy machine.

        What blocks a loop here would do so for the second a connection may take, or the two that glide takes.
        """
        *_, second, longest = sorted(self._late)
        return second < SMALL_LAG and longest < _HICCUP_SECONDS

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(_TICK_SECONDS)
            self._late.append(time.monotonic() - began - _TICK_SECONDS)
