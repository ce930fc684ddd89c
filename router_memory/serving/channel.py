"""Questions and answers between the parent and a worker: JSON lines over a pair of sockets, in both directions.

A question is ``{"id": 7, "do": "prepare", "with": {…}}``, its answer ``{"id": 7, "is": …}`` or
``{"id": 7, "error": {…}}``. Either side may ask; the end of the connection is the end of the other side.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from router_memory.errors import RouterMemoryError
from router_memory.serving.carried import carried, revived

__all__ = ["MAX_LINE_BYTES", "Channel", "ChannelClosed", "Handler"]

MAX_LINE_BYTES = 32 * 1024 * 1024
"""Longest line; the longest there is holds a configuration, or the events of a worker."""
MAX_UNDER_WAY = 256
"""Most questions that one side may have open."""

_log = logging.getLogger("router_memory.serving")

Handler = Callable[..., Awaitable[Any]]
"""Answers one kind of question; its keyword arguments are the question's."""


class ChannelClosed(RouterMemoryError):
    """The other side is gone, or did not answer in time."""


class Channel:
    """One side of a connection.

    Args:
        reader, writer: Of the connection.
        handlers: What the other side may ask, by name.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handlers: Mapping[str, Handler]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @classmethod
    async def over(cls, connection: socket.socket, handlers: Mapping[str, Handler]) -> Channel:
        """One over a connected socket, which it owns from now on."""
        connection.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_LINE_BYTES)
        return cls(reader, writer, handlers)

    async def ask(self, do: str, *, within: float, **arguments: Any) -> Any:
        """The other side's answer.

        Args:
            do: What it is to do.
            within: Seconds.
            arguments: JSON-compatible.

        Raises:
            ChannelClosed: It is gone, or too late, or too much is open.
            RouterMemoryError: Its handler raised that, or one with the same message.
        """
        if self._closed or len(self._open) >= MAX_UNDER_WAY:
            raise ChannelClosed("the other process is gone" if self._closed else "too many questions are open")
        self._count += 1
        number = self._count
        answer = self._open[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within):
                await self._send({"id": number, "do": do, "with": arguments})
                return await answer
        except TimeoutError:
            raise ChannelClosed(f"no answer to {do!r} within {within:g} s") from None
        finally:
            self._open.pop(number, None)

    async def run(self) -> None:
        """Reads until the other side is gone. Then everything that is open fails."""
        try:
            while line := await self._reader.readline():
                self._take(line)
        except OSError:  # it was killed with something unread
            pass
        except (ValueError, KeyError) as error:  # a line that is too long, no JSON, or no message
            _log.error("the other process said what cannot be understood: %s", type(error).__name__)
        finally:
            self.close()

    def close(self) -> None:
        """Ends the connection. Idempotent."""
        self._closed = True
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(ChannelClosed("the other process is gone"))
        self._writer.close()

    def _take(self, line: bytes) -> None:
        message = json.loads(line)
        if "do" in message:
            task = asyncio.create_task(self._answer(message), name=f"router-memory-{message['do']}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        answer = self._open.get(message["id"])
        if answer is None or answer.done():
            return  # nobody waits any more
        if "error" in message:
            answer.set_exception(revived(message["error"]))
        else:
            answer.set_result(message.get("is"))

    async def _answer(self, message: Mapping[str, Any]) -> None:
        reply: dict[str, Any] = {"id": message["id"]}
        try:
            handler = self._handlers.get(message["do"])
            if handler is None or len(self._tasks) > MAX_UNDER_WAY:
                raise ChannelClosed(f"this process does not answer {message['do']!r} now")
            reply["is"] = await handler(**message["with"])
        except RouterMemoryError as error:
            reply["error"] = carried(error)
        except Exception as error:  # noqa: BLE001 - a defect here must not leave the other side waiting
            _log.exception("%s failed", message["do"])
            reply["error"] = carried(error)
        with suppress(OSError, ChannelClosed):
            await self._send(reply)

    async def _send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"
        if len(line) > MAX_LINE_BYTES:
            raise ChannelClosed("the message is too long")
        try:
            self._writer.write(line)
            await self._writer.drain()
        except OSError as error:
            raise ChannelClosed("the other process is gone") from error
