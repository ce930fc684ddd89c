"""Delays between every two steps: what a busy network, a busy machine and a garbage collector do."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any
from unittest import mock

from router_memory.wiring import assembly, caches, stores
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from router_memory.protocols import HotCache, MemoryStore

__all__ = ["Delayed", "Hold", "Pauses", "intercepted"]


class Pauses:
    """Pauses of random length: mostly none, often some milliseconds, now and then many.

    Args:
        random: Where they come from.
    """

    def __init__(self, random: Random) -> None:
        self._random = random

    async def __call__(self, name: str) -> None:
        """One pause."""
        del name
        kind = self._random.random()
        if kind < 0.50:
            return
        longest = 0.003 if kind < 0.93 else 0.05
        await asyncio.sleep(self._random.uniform(0.4 * longest, longest))


class Hold:
    """Holds calls up until they are let go.

    Args:
        name: Of the calls, as `Delayed` gives it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.on = False
        self.reached = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, name: str) -> None:
        """Waits where the call is the one."""
        if self.on and name == self._name:
            self.reached.set()
            await self.released.wait()


class Delayed:
    """Stands before an object and pauses before and after each of its coroutines.

    Args:
        inner: The object.
        role: What it is.
        pause: Is awaited with the role and the name of the method, and with the same and ``done`` behind it.
    """

    def __init__(self, inner: object, role: str, pause: Callable[[str], Any]) -> None:
        self._inner = inner
        self._role = role
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found) or name in {"open", "close", "identify"}:
            return found

        @wraps(found)
        async def delayed(*args: Any, **options: Any) -> Any:
            await self._pause(f"{self._role} {name}")
            try:
                return await found(*args, **options)
            finally:
                await self._pause(f"{self._role} {name} done")

        return delayed


@contextmanager
def intercepted(pause: Callable[[str], Any]) -> Iterator[Callable[[], Any]]:
    """While it lasts, stores and cache servers that the wiring makes are delayed. Gives what makes an embedder so."""
    make_store, make_cache = stores.store_of, caches.hot_cache_of

    def store_of(*args: Any) -> MemoryStore:
        made: Any = Delayed(make_store(*args), "store", pause)
        return made  # type: ignore[no-any-return]

    def hot_cache_of(*args: Any) -> HotCache | None:
        server = make_cache(*args)
        made: Any = None if server is None else Delayed(server, "cache", pause)
        return made  # type: ignore[no-any-return]

    with mock.patch.object(assembly, "store_of", store_of), mock.patch.object(caches, "hot_cache_of", hot_cache_of):
        yield lambda: Delayed(HashingEmbedder(), "embedder", pause)
