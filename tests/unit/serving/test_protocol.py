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
    """Says how long the body was; ``/big`` gives more than any buffer holds, ``/header`` what a header says."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    body = b"x" * BIG if scope["path"] == "/big" else str(size).encode()
    if scope["path"] == "/header":
        body = b"<%s>" % dict(scope["headers"])[b"said"]
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


@pytest.mark.parametrize("size", [70_000, 200_000, 1_000_000])
@pytest.mark.parametrize("before", [b"", PLAIN], ids=["first request", "second request"])
async def test_a_body_in_one_read_with_its_head_is_no_head(size: int, before: bytes) -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(before + b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)
        for said in [b"0"] * bool(before) + [b"%d" % size]:
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(said)) == said
        writer.close()


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"content-length: 5\r\n", b"12345"),
        (b"transfer-encoding: chunked\r\n", b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n"),
    ],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("together", [True, False])
async def test_an_offer_to_upgrade_is_not_taken_up(framing: bytes, body: bytes, together: bool) -> None:
    """The request keeps its body, and the connection goes on."""
    offer = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(2):
            head = b"POST / HTTP/1.1\r\nhost: x\r\n" + offer + framing + b"\r\n"
            writer.write(head + body if together else head)
            if not together:
                await writer.drain()
                await asyncio.sleep(0.02)  # so that the body comes by itself; the test holds either way
                writer.write(body)
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1) == b"5"
        writer.write(PLAIN)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


async def test_an_offer_to_upgrade_without_a_body_is_answered() -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n" + PLAIN)
        for _ in range(2):
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(1) == b"0"
        writer.close()


async def test_blanks_behind_a_header_are_no_part_of_it() -> None:
    async with serving() as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /header HTTP/1.1\r\nhost: x\r\nsaid: one two \t \r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(9) == b"<one two>"
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
