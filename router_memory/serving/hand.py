"""A worker as the parent sees it: a process, and the channel to it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from router_memory.serving.channel import Channel, ChannelClosed, Handler

__all__ = ["Hand", "Stage"]


class Stage(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"
    """It was told to end, or is about to be killed."""


class Hand:
    """One worker process, from its start to its end.

    Attributes:
        index: Its place among the workers, from 0; the one that replaces it has the same.
        stage: See `Stage`.
        generation: Of the configuration it has; 0 before the first.
        started_at: When the process was started, aware.
        served_at: When it began to serve, on the loop's clock; ``None`` before.
    """

    def __init__(self, index: int, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.index = index
        self.stage = Stage.STARTING
        self.generation = 0
        self.started_at = datetime.now(UTC)
        self.served_at: float | None = None
        self._process = process
        self._channel = channel
        self._reading = asyncio.create_task(channel.run(), name=f"router-memory-worker-{index}")

    @classmethod
    async def start(
        cls,
        index: int,
        module: str,
        listeners: Sequence[socket.socket],
        handlers: Mapping[str, Handler],
    ) -> Hand:
        """Starts a process that inherits the listening sockets and one end of a channel.

        It leads a session of its own, so that Ctrl-C in a terminal reaches the parent alone, which tells the workers.

        Raises:
            OSError: The machine has no room for another process.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                accepting = ",".join(str(each.fileno()) for each in listeners)
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", module, "--index", str(index), "--control", str(theirs.fileno()), "--listen", accepting),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), *(each.fileno() for each in listeners)],
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        return cls(index, process, await Channel.over(ours, handlers))

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def ask(self, do: str, *, within: float, **arguments: Any) -> Any:
        """See `Channel.ask`."""
        return await self._channel.ask(do, within=within, **arguments)

    async def gone(self) -> int:
        """Waits for the end of the process. Returns its exit code, or the negative number of a signal."""
        code = await self._process.wait()
        self._channel.close()
        await asyncio.gather(self._reading, return_exceptions=True)
        return code

    def kill(self) -> None:
        """Ends it at once."""
        self.stage = Stage.LEAVING
        if self._process.returncode is None:
            with suppress(ProcessLookupError):  # not its own `kill`, which may take the exit code from whoever waits
                os.kill(self.pid, signal.SIGKILL)

    async def drain(self, seconds: float) -> None:
        """Tells it to finish what it has begun, and to end within so many seconds."""
        self.stage = Stage.LEAVING
        with suppress(ChannelClosed):
            await self.ask("drain", within=max(seconds, 1.0), seconds=seconds)

    def ended_how(self, code: int) -> str:
        """How it ended, for people."""
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
