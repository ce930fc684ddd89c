"""HTTP/1.1 on a connection, with the limits that uvicorn leaves out: how long and how large a request's head may be.

With httptools, uvicorn waits for ever for the first request of a connection, and reads a head of any size. Here a head
has so many seconds, from the connection or from its own first byte on, and so many bytes, and a client that takes
nothing of an answer for a while is cut off. Bodies are the matter of `interfaces.http.limits`.

It also drops the body of a request that offers to change to another protocol, as Java's client does with each first
one (``upgrade: h2c``). Here such an offer is not taken up and the request is read as what it is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import httptools
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
        self._begun = False
        self._fed = b""
        self._head = 0
        self._heads = 0
        self._in_head = True
        self._read_already = False
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
        was_in_head, heads, self._fed = self._in_head, self._heads, data
        super().data_received(data)
        if not was_in_head or self._heads != heads or self.transport.is_closing():
            return  # they belong to a body, or ended a head, however much of a body came with it
        self._head += len(data)
        if self._head > self.head_bytes:
            self._refuse(431, b"the head of the request is too large")

    def on_message_begin(self) -> None:
        """Called by the parser, at the first byte of a request."""
        if self._read_already:
            return
        self._begun = True
        if self._head_timer is None:  # not the first one of the connection
            self._expect_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        if not self._read_already:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser, which leaves blanks behind a value; to an upstream they would be an error."""
        if not self._read_already:
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self._read_already:
            self._read_already = False
            return
        self._begun = self._in_head = False
        self._head = 0
        self._heads += 1
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._offers_upgrade():
            return  # the body is still to come
        self._in_head = True
        super().on_message_complete()

    def _offers_upgrade(self) -> bool:
        return bool(self.parser.should_upgrade()) and self.scope["method"] != "CONNECT"

    def _unsupported_upgrade_warning(self) -> None:
        """Called where the parser stopped behind a head because it takes what follows for another protocol's.

        A new parser reads that, the body first, as if it had read the head.
        """
        stopped = sys.exc_info()[1]
        if not self._offers_upgrade() or not isinstance(stopped, httptools.HttpParserUpgrade):
            self.transport.close()
            return
        framing = next(
            (pair for pair in self.headers if pair[0] in (b"transfer-encoding", b"content-length")),
            (b"content-length", b"0"),
        )
        rest = self._fed[stopped.args[0] :]
        self._fed = b"POST / HTTP/1.1\r\nhost: x\r\n%s: %s\r\n\r\n%s" % (*framing, rest)
        self._read_already = True
        self.parser = httptools.HttpRequestParser(self)
        super().data_received(self._fed)

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
        elif self._begun:
            self._refuse(408, b"the head of the request took too long")
        else:
            self.transport.close()

    def _refuse(self, status: int, text: bytes) -> None:
        head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
        length = b"content-length: %d\r\n\r\n" % len(text)
        self.transport.write(b"".join([STATUS_LINE[status], head, length, text]))
        self.transport.close()
