"""Looks whether workers are alive: one whose event loop has stopped holds connections and answers nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from router_memory.serving.hand import Stage

if TYPE_CHECKING:
    from router_memory.serving.hand import Hand

__all__ = ["watch"]

_log = logging.getLogger("router_memory.serving")


async def watch(serving: Callable[[], Sequence[Hand]], *, every: float, silences: int) -> None:
    """Asks all workers again and again, and kills one that has not answered so many times in a row. Never ends.

    Looks are counted, not seconds: when the whole machine was asleep nobody is to blame.

    Args:
        serving: The workers that should answer.
        every: Seconds between two looks, and for an answer.
        silences: How many looks in a row.
    """
    silent: dict[int, int] = {}
    while True:
        await asyncio.sleep(every)
        workers = serving()
        answers = await asyncio.gather(
            *(worker.ask("ping", within=every) for worker in workers), return_exceptions=True
        )
        before, silent = silent, {}
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, BaseException):
                silent[worker.pid] = before.get(worker.pid, 0) + 1
            if silent.get(worker.pid, 0) >= silences and worker.stage is Stage.SERVING:
                _log.error("worker %d, process %d, does not answer and is killed", worker.index, worker.pid)
                worker.kill()
