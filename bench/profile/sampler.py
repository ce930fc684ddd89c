"""A sampler of the event loop's thread, from inside: no root, nothing to install.

A timer signals about every millisecond, at random distances so that it keeps no time with the loop, and Python calls
the handler where the interpreter next looks for signals, at calls and loops: time in native code shows as the Python
function that called it, and a short function may show as the one that follows it. While the loop has nothing to run,
the sample is where the request waits: the chain of what it awaits. So a sample is wall time of a request, and work of
other threads shows as the wait for it.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from bench.profile.stacks import LOOP, Stack, awaited, frames, ours

__all__ = ["TASKS", "Sampler"]

TASKS = ("router-memory-retrieve", "router-memory-embed")
"""Names of the tasks in which a request has its question answered; the later are waited for by the earlier."""
_SHORTEST, _LONGEST = 0.5e-3, 1.5e-3


class Sampler:
    """Counts stacks of one request after the other; to be made in the task that asks.

    Args:
        seed: Of the distances.

    Attributes:
        stacks: How often each was seen.
        outside: How often none of it was: the loop that asks.
    """

    def __init__(self, seed: int) -> None:
        self.stacks: Counter[Stack] = Counter()
        self.outside = 0
        self._rng = random.Random(seed)
        self._asking = asyncio.current_task()
        self._on = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Samples inside of the block. In the main thread alone, and for POSIX."""
        before = signal.signal(signal.SIGALRM, self._signalled)
        self._on = True
        self._arm()
        try:
            yield
        finally:
            self._on = False
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, before)

    def _arm(self) -> None:
        if self._on:
            signal.setitimer(signal.ITIMER_REAL, self._rng.uniform(_SHORTEST, _LONGEST))

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        try:
            self._take(frames(frame))
        finally:
            self._arm()

    def _take(self, running: list[str]) -> None:
        inside = ours(running)
        if inside:
            self.stacks[self._behind(inside)] += 1
        elif running and running[-1].startswith("selectors:"):
            self.stacks[self._waiting()] += 1
        elif running and running[-1].startswith("bench."):
            self.outside += 1
        else:
            self.stacks[(f"({LOOP})",)] += 1

    def _behind(self, inside: Stack) -> Stack:
        """What runs, behind what waits for it."""
        current = asyncio.current_task()
        if current is self._asking:
            return inside
        if current is not None and current.get_name() in TASKS:
            return self._awaiting(TASKS[: TASKS.index(current.get_name())]) + inside
        return ("(background)", *inside)

    def _waiting(self) -> Stack:
        return self._awaiting(TASKS) or (f"({LOOP})",)

    def _awaiting(self, names: Sequence[str]) -> Stack:
        """What the request awaits, and behind it what the tasks of these names await."""
        tasks = asyncio.all_tasks()
        chain = ours(awaited(self._asking.get_coro())) if self._asking is not None else ()
        for name in names:
            for task in tasks:
                if task.get_name() == name:
                    chain += ours(awaited(task.get_coro()))
        return chain
