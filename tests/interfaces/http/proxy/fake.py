"""An upstream that records what it is sent and answers what a test tells it to, byte by byte."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import orjson

__all__ = ["FakeUpstream", "Line", "Seen", "fake_upstream", "in_one_piece", "plain_chat", "streamed"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the upstream got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for found, value in self.headers if found == name), None)


@dataclass(slots=True)
class Line:
    """The connection a request came over."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def closed_by_peer(self) -> None:
        """Waits until the other side has closed it."""
        with suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass

    def cut(self) -> None:
        """Breaks it at once."""
        self.writer.transport.abort()


Play = Callable[[Seen, Line], Awaitable[None]]


class FakeUpstream:
    """The server. `play` answers requests; `seen` are those that came."""

    def __init__(self, port: int, scheme: str = "http") -> None:
        self.url = f"{scheme}://127.0.0.1:{port}/v1"
        self.seen: list[Seen] = []
        self.play: Play = plain_chat("Fine.")
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                seen = await _request(reader)
                self.seen.append(seen)
                await self.play(seen, Line(reader, writer))
                if writer.is_closing():
                    break
        writer.close()


@asynccontextmanager
async def fake_upstream(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeUpstream]:
    """A server on a free port, with its connections ended behind it."""
    tasks: set[asyncio.Task[None]] = set()
    fake: FakeUpstream

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        with suppress(asyncio.CancelledError):
            await fake.serve(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**20, ssl=tls)
    fake = FakeUpstream(server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def in_one_piece(status: int, body: bytes, *headers: tuple[str, str]) -> Play:
    """Answers with this body and its length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *(f"{n}: {v}" for n, v in headers)]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"

    async def play(_seen: Seen, line: Line) -> None:
        await line.send(head + body)

    return play


def plain_chat(text: str | None, **message: object) -> Play:
    """A chat completion in one piece."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    document = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return in_one_piece(200, orjson.dumps(document), ("content-type", "application/json"))


def streamed(*chunks: bytes, finish: Callable[[Line], Awaitable[None]] | None = None) -> Play:
    """Server-sent events, each of the chunks as a chunk of HTTP. `finish` takes the place of the orderly end."""

    async def play(_seen: Seen, line: Line) -> None:
        await line.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for chunk in chunks:
            await line.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if finish is None:
            await line.send(b"0\r\n\r\n")
        else:
            await finish(line)

    return play


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    size = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Seen(method, target, headers, await reader.readexactly(size))
