"""Opens memory for the length of one command."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from router_memory.memory import MemoryPlugin

__all__ = ["with_memory"]

_T = TypeVar("_T")


def with_memory(config: Path | None, work: Callable[[MemoryPlugin], Awaitable[_T]]) -> _T:
    """The result of `work` on the configuration's memory. The model is loaded by the first text to embed, if any."""
    from router_memory.memory import MemoryPlugin

    async def command() -> _T:
        async with MemoryPlugin.open(config, warm=False) as memory:
            return await work(memory)

    return asyncio.run(command())
