"""An upstream that costs next to nothing: ``python -m bench.service.upstream PORT CHUNKS``."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

_TEXT = "You like an aisle seat near the front, and you asked for one on each of your last three flights."
_PLAIN = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"' + _TEXT.encode() + b'"},"finish_reason":"stop"}]}'
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Upstream(asyncio.Protocol):
    """One connection.

    Args:
        chunks: Of a streamed answer.
    """

    def __init__(self, chunks: int) -> None:
        event = (
            b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
            b'{"content":"flight "},"finish_reason":null}]}\n\n'
        )
        self._events = [_chunk(event)] * chunks + [_chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"]
        self._plain = _HEAD % len(_PLAIN) + _PLAIN
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Answers each request once it is there as a whole."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + size:
                return
            body = self._buffer[end + 4 : end + 4 + size]
            self._buffer = self._buffer[end + 4 + size :]
            if b'"stream":true' in body:
                self._transport.write(_STREAM_HEAD + self._events[0])
                self._next(1)
            else:
                self._transport.write(self._plain)

    def _next(self, number: int) -> None:
        self._transport.write(self._events[number])
        if number + 1 < len(self._events):
            asyncio.get_running_loop().call_soon(self._next, number + 1)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _serve(port: int, chunks: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(chunks), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
