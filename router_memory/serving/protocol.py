"""HTTP/1.1 on a connection, with the limits that uvicorn leaves out: how long and how large a request's head may be.

With httptools, uvicorn waits for ever for the first request of a connection, and reads a head of any size. Here a head
has so many seconds, from the connection or from its own first byte on, and so many bytes, and a client that takes
nothing of an answer for a while is cut off. Bodies are the matter of `interfaces.http.limits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["HEAD_BYTES", "HEAD_SECONDS", "WRITE_SECONDS", "LimitedHttp"]

HEAD_BYTES = 64 * 1024
"""Longest request line with all headers. User ids in headers may be long; nothing else is."""
HEAD_SECONDS = 30.0
"""Longest wait for a whole head."""
WRITE_SECONDS = 60.0
"""Longest wait until a client takes more of an answer, once what the kernel keeps for it is full."""


class LimitedHttp(HttpToolsProtocol):
    """A connection of a client."""

    head_seconds = HEAD_SECONDS
    head_bytes = HEAD_BYTES
    write_seconds = WRITE_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """See `asyncio.BaseProtocol.connection_made`."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol.connection_lost`."""
        self._stop_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol.pause_writing`."""
        super().pause_writing()
        self._stop_write_timer()
        self._write_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol.resume_writing`."""
        self._stop_write_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol.data_received`."""
        was_in_head = self._in_head
        super().data_received(data)
        if not (was_in_head and self._in_head) or self.transport.is_closing():
            return
        self._head += len(data)
        if self._head > self.head_bytes:
            self._refuse(431, b"the head of the request is too large")

    def on_message_begin(self) -> None:
        """Called by the parser, at the first byte of a request."""
        if self._head_timer is None:  # not the first one of the connection
            self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_head = False
        self._head = 0
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._in_head = True
        super().on_message_complete()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._too_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.close()  # the next request began before this one was answered: no room for an answer
        elif self._head:
            self._refuse(408, b"the head of the request took too long")
        else:
            self.transport.close()

    def _refuse(self, status: int, text: bytes) -> None:
        head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        length = b"content-length: %d\r\n\r\n" % len(text)
        self.transport.write(b"".join([STATUS_LINE[status], head, length, text]))
        self.transport.close()
