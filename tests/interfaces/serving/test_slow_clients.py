"""Clients that are slow, silent, half gone or enormous, against a real service: others are served all the same."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.interfaces.serving.conftest import Start
    from tests.interfaces.serving.running import Running

HEAD = b"POST /v1/plugin/request HTTP/1.1\r\nhost: x\r\nx-authz-user-id: mallory\r\ncontent-type: application/json\r\n"
MISBEHAVING = {
    "silent": b"",
    "half a head": HEAD,
    "half a body": HEAD + b"content-length: 1000\r\n\r\n{",
    "half a chunked body": HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00",
}
EACH = 10
CHAT = {"decision": "wide", "messages": [{"role": "user", "content": "where do I sit on planes?"}]}
TEN_MB = {"decision": "wide", "messages": [{"role": "user", "content": "x" * 10_000_000}]}


async def opened(running: Running, text: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = httpx.URL(running.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(text)
    return reader, writer


async def test_others_are_served_all_the_same(shared: Running) -> None:
    connections = [await opened(shared, text) for text in MISBEHAVING.values() for _ in range(EACH)]
    for _, writer in connections[::2]:
        if not writer.is_closing():
            writer.write_eof()  # half closed
    async with httpx.AsyncClient(base_url=shared.url, timeout=60) as http:

        async def ask(user: str, body: object) -> int:
            return (await http.post("/v1/plugin/request", headers={"x-authz-user-id": user}, json=body)).status_code

        large = [ask(f"large-{index}", TEN_MB) for index in range(4)]
        small = [ask(f"small-{index}", CHAT) for index in range(40)]
        assert set(await asyncio.gather(*large, *small)) == {200}
    for _, writer in connections:
        writer.close()


async def test_a_body_that_stops_is_told_so(start: Start) -> None:
    running = start(service={"limits": {"read_seconds": 0.2}}).ready()
    for name in ("half a body", "half a chunked body"):
        reader, writer = await opened(running, MISBEHAVING[name])
        answer = await reader.read()
        assert b"408 Request Timeout" in answer
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "REQUEST_TIMEOUT"
        writer.close()


async def test_a_client_that_sends_too_much_reads_the_answer(start: Start) -> None:
    """The answer is there before the body has been sent, and the connection ends in order."""
    running = start(service={"limits": {"body_mb": 1}}).ready()
    for length in (b"content-length: 3000000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"):
        reader, writer = await opened(running, HEAD + length)
        part = b" " * 100_000 if b"length" in length else b"186a0\r\n" + b" " * 100_000 + b"\r\n"
        for _ in range(30):
            writer.write(part)
            await writer.drain()
        if b"chunked" in length:
            writer.write(b"0\r\n\r\n")
        answer = await reader.read()
        assert b"413" in answer.partition(b"\r\n")[0]
        assert b"BODY_TOO_LARGE" in answer
        writer.close()


async def test_when_all_places_are_taken_slow_bodies_give_way(start: Start) -> None:
    """Whoever takes long to send a body cannot keep those out who do not."""
    running = start(service={"limits": {"concurrency": 4}}).ready()
    slow = [await opened(running, MISBEHAVING["half a body"]) for _ in range(4)]
    await asyncio.to_thread(running.until, lambda: _chat(running) == 200)
    answers = [asyncio.create_task(reader.read()) for reader, _ in slow]
    done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    assert all(b"408 Request Timeout" in answer.result() for answer in done)
    for answer in answers:
        answer.cancel()
    for _, writer in slow:
        writer.close()


def _chat(running: Running) -> int:
    url = f"{running.url}/v1/plugin/request"
    return httpx.post(url, headers={"x-authz-user-id": "ana"}, json=CHAT, timeout=60).status_code
