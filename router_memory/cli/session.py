"""Opens memory for the length of one command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from router_memory.cli.output import note
from router_memory.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from router_memory.memory import MemoryPlugin
    from router_memory.types import Scope

__all__ = ["clear_cached", "with_memory"]

_T = TypeVar("_T")


def with_memory(config: Path | None, work: Callable[[MemoryPlugin], Awaitable[_T]]) -> _T:
    """The result of `work` on the configuration's memory. The model is loaded by the first text to embed, if any."""
    from router_memory.memory import MemoryPlugin

    async def command() -> _T:
        async with MemoryPlugin.open(config, warm=False) as memory:
            return await work(memory)

    return asyncio.run(command())


async def clear_cached(memory: MemoryPlugin, scope: Scope) -> None:
    """Waits until the cache's server has forgotten a user, longer than a request would, and says so when it has not.

    What a request cannot tell the server in time is left to a later moment. A command has none, and its first
    connection alone may take longer than a request would wait.
    """
    try:
        await memory.clear_cache(scope)
    except BackendError as error:
        harm = "what it holds of this user is not answered with any more and ends with its time to live"
        note(f"the hot cache's server could not be told, {harm}: {error}")
