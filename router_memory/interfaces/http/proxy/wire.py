"""Connections for httpcore on plain asyncio transports.

Its own run on anyio, whose cancel scopes, checkpoints and system calls for each read, write and look at an idle
connection cost a chat more than all of memory does on a hit of the cache.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, cast

import httpcore

__all__ = ["Wires"]

_MOST_BUFFERED = 262_144
"""Bytes that may wait to be read before the upstream is made to wait."""


class Wires(httpcore.AsyncNetworkBackend):
    """Opens connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's form
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See `httpcore.AsyncNetworkBackend`."""
        del socket_options
        local = None if local_address is None else (local_address, 0)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                _, line = await loop.create_connection(_Line, host, port, local_addr=local)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError from error
        return _Wire(line)

    async def sleep(self, seconds: float) -> None:
        """See `httpcore.AsyncNetworkBackend`."""
        await asyncio.sleep(seconds)


class _Line(asyncio.Protocol):
    """What came over a transport, and who waits for more."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.received = bytearray()
        self.ended = False
        self.failure: Exception | None = None
        self.reader: asyncio.Future[None] | None = None
        self.writer: asyncio.Future[None] | None = None
        self.full = False
        self._held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.received += data
        if len(self.received) > _MOST_BUFFERED and not self._held:
            self._held = True
            self.transport.pause_reading()
        _wake(self.reader)

    def eof_received(self) -> None:
        """See `asyncio.Protocol`."""
        self.ended = True
        _wake(self.reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.ended = True
        self.failure = exc
        _wake(self.reader)
        _wake(self.writer)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.full = True

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        self.full = False
        _wake(self.writer)

    def take(self, most: int) -> bytes:
        """Up to so many of the bytes received."""
        data = bytes(self.received[:most])
        del self.received[:most]
        if self._held and len(self.received) <= _MOST_BUFFERED // 2:
            self._held = False
            self.transport.resume_reading()
        return data


class _Wire(httpcore.AsyncNetworkStream):
    """One connection."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """See `httpcore.AsyncNetworkStream`."""
        line = self._line
        if not line.received and not line.ended:
            line.reader = asyncio.get_running_loop().create_future()
            try:
                await _within(line.reader, timeout)
            except TimeoutError as error:
                raise httpcore.ReadTimeout from error
            finally:
                line.reader = None
        if line.received:
            return line.take(max_bytes)
        if line.failure is not None:
            raise httpcore.ReadError from line.failure
        return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """See `httpcore.AsyncNetworkStream`."""
        line = self._line
        if line.transport.is_closing():
            raise httpcore.WriteError from line.failure
        line.transport.write(buffer)
        if line.full:
            line.writer = asyncio.get_running_loop().create_future()
            try:
                await _within(line.writer, timeout)
            except TimeoutError as error:
                raise httpcore.WriteTimeout from error
            finally:
                line.writer = None
            if line.failure is not None:
                raise httpcore.WriteError from line.failure

    async def aclose(self) -> None:
        """See `httpcore.AsyncNetworkStream`."""
        self._line.transport.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """See `httpcore.AsyncNetworkStream`."""
        line, loop = self._line, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                secured = await loop.start_tls(line.transport, line, ssl_context, server_hostname=server_hostname)
        except TimeoutError as error:
            line.transport.abort()
            raise httpcore.ConnectTimeout from error
        except OSError as error:  # what a certificate that cannot be trusted is as well
            line.transport.abort()
            raise httpcore.ConnectError from error
        if secured is None:
            raise httpcore.ConnectError
        line.transport = secured
        return self

    def get_extra_info(self, info: str) -> Any:
        """See `httpcore.AsyncNetworkStream`."""
        line = self._line
        if info == "is_readable":  # of an idle connection: it has ended, or there is what nobody asked for
            return line.ended or bool(line.received) or line.transport.is_closing()
        if info == "ssl_object":
            return line.transport.get_extra_info("ssl_object")
        return line.transport.get_extra_info("socket") if info == "socket" else None


async def _within(future: asyncio.Future[None], seconds: float | None) -> None:
    """Waits for a future.

    Raises:
        TimeoutError: For too long.
    """
    if seconds is None:
        await future
        return
    timer = future.get_loop().call_later(seconds, _too_late, future)
    try:
        await future
    finally:
        timer.cancel()


def _too_late(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
