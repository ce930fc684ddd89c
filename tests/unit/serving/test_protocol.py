"""HTTP connections that misbehave, against a real server in the test's process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from router_memory.serving import server as servers
from router_memory.serving.listening import bind
from router_memory.serving.protocol import LimitedHttp

PLAIN = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
BIG = 64 * 1024 * 1024


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says how long the body was; ``/big`` gives more than any buffer holds."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    body = b"x" * BIG if scope["path"] == "/big" else str(size).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, int]]:
    (listener,) = bind("127.0.0.1", 0)
    server = servers.Server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.accepting.wait()
    yield listener.getsockname()[:2]
    server.stop(0.1)
    await task


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that waits for nobody."""
    for name in ("head_seconds", "write_seconds"):
        monkeypatch.setattr(LimitedHttp, name, 0.05)


async def test_requests_on_one_connection_are_answered() -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(3):
            writer.write(PLAIN)
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1) == b"0"
        writer.close()


@pytest.mark.usefixtures("hasty")
async def test_a_client_that_says_nothing_is_cut_off() -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("before", [b"", PLAIN], ids=["first request", "second request"])
async def test_a_head_that_never_ends_is_refused(before: bytes) -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(before + b"GET / HTTP/1.1\r\nhost: x\r\n")
        assert b"408 Request Timeout" in await reader.read()
        writer.close()


@pytest.mark.parametrize("piece", [b"a: %s\r\n" % (b"x" * 1000), b"x" * 1000], ids=["many headers", "one header"])
async def test_a_head_without_end_is_refused_soon(piece: bytes) -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nlong: ")
        sent = 0
        while not writer.is_closing() and sent < 100 * LimitedHttp.head_bytes:
            try:
                writer.write(piece)
                await writer.drain()
            except ConnectionError:
                break
            sent += len(piece)
            await asyncio.sleep(0)
            if reader.at_eof():
                break
        assert sent < 100 * LimitedHttp.head_bytes
        writer.close()


async def test_a_long_head_that_ends_is_read() -> None:
    """A user id may have 64 KiB in one read; what counts is what is still open."""
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nuser: %s\r\n\r\n" % (b"u" * 30_000))
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.mark.usefixtures("hasty")
async def test_a_slow_body_is_not_a_slow_head() -> None:
    """The time for the head ends with the head."""
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        writer.write(b"b")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.mark.usefixtures("hasty")
async def test_a_client_that_takes_nothing_is_cut_off() -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address, limit=1024)
        writer.write(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.3)  # what is awaited is the server's patience running out
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(BIG)
        writer.close()


async def test_a_half_closed_connection_is_let_go() -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
