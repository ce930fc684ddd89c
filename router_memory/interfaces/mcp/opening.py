"""Opens memory beside what is answered already."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from router_memory.errors import RouterMemoryError

if TYPE_CHECKING:
    from router_memory.memory import MemoryPlugin

__all__ = ["Opening"]

_log = logging.getLogger("router_memory.mcp")


class Opening:
    """Memory that is being opened: a client is greeted at once, and its first call waits for the model.

    Where opening fails, the next call tries again. One event loop owns an instance.

    Args:
        make: Gives the memory, not entered yet; called in a thread, for its imports take a while.
    """

    def __init__(self, make: Callable[[], MemoryPlugin]) -> None:
        self._make = make
        self._task: asyncio.Task[MemoryPlugin] | None = None

    def begin(self) -> None:
        """Starts to open it, unless it is open or about to be."""
        if self._task is None or (self._task.done() and self._failed(self._task)):
            self._task = asyncio.create_task(self._open(), name="router-memory-open")

    async def memory(self) -> MemoryPlugin:
        """The memory, once it is open. A caller that gives up does not stop it.

        Raises:
            RouterMemoryError: It could not be opened.
        """
        self.begin()
        if self._task is None:
            raise RuntimeError("nothing was begun")
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stops opening it, or closes it. Raises nothing."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        if not self._failed(task):
            await task.result().close()

    async def _open(self) -> MemoryPlugin:
        memory = await asyncio.to_thread(self._make)
        try:
            await memory.__aenter__()
        except RouterMemoryError as error:
            _log.warning("memory could not be opened, the next call tries again: %s", error)
            raise
        return memory

    @staticmethod
    def _failed(task: asyncio.Task[MemoryPlugin]) -> bool:
        return task.cancelled() or task.exception() is not None
