"""The body of a request, counted and timed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Message

from router_memory.interfaces.http.errors import ApiError
from router_memory.interfaces.http.limits import exchange as exchanges
from router_memory.interfaces.http.limits.exchange import Exchange


class Client:
    """What the server sees of a client: parts of a body, then silence."""

    def __init__(self, parts: Iterable[bytes], *, ends: bool = True) -> None:
        listed = list(parts)
        self.coming = [
            {"type": "http.request", "body": part, "more_body": not (ends and at == len(listed))}
            for at, part in enumerate(listed, 1)
        ]
        self.got: list[Message] = []

    async def receive(self) -> Message:
        if not self.coming:
            await asyncio.Event().wait()
        return self.coming.pop(0)

    async def send(self, message: Message) -> None:
        self.got.append(message)

    @property
    def status(self) -> int:
        return int(self.got[0]["status"])

    def exchange(self, *, most: int | None = 100, seconds: float = 5.0) -> Exchange:
        return Exchange(self.receive, self.send, request_id=b"id", most_bytes=most, read_seconds=seconds)


async def read(exchange: Exchange) -> bytes:
    body, more = b"", True
    while more:
        message = await exchange.receive()
        body, more = body + message["body"], message["more_body"]
    return body


async def respond(exchange: Exchange, *headers: tuple[bytes, bytes]) -> None:
    await exchange.send({"type": "http.response.start", "status": 200, "headers": list(headers)})
    await exchange.send({"type": "http.response.body", "body": b"ok"})


async def test_a_body_within_the_limit_comes_through() -> None:
    client = Client([b"a" * 50, b"b" * 50])
    assert await read(client.exchange()) == b"a" * 50 + b"b" * 50


async def test_a_body_beyond_it_is_refused_without_a_length_too() -> None:
    client = Client([b"a" * 50, b"b" * 51])
    exchange = client.exchange()
    with pytest.raises(ApiError) as raised:
        await read(exchange)
    assert (raised.value.status, raised.value.code) == (413, "BODY_TOO_LARGE")


async def test_what_the_application_makes_of_that_does_not_reach_the_client() -> None:
    client = Client([b"a" * 101])
    exchange = client.exchange()
    with pytest.raises(ApiError):
        await read(exchange)
    await respond(exchange)
    assert client.got == []
    await exchange.refuse()
    assert client.status == 413


async def test_the_refusal_is_sent_before_the_rest_of_the_body_is_read() -> None:
    client = Client([b"a" * 101, b"b"], ends=True)
    exchange = client.exchange()
    with pytest.raises(ApiError):
        await exchange.receive()
    await exchange.refuse()
    assert [message.get("more_body") for message in client.got] == [None, True, False]
    assert (b"connection", b"close") in client.got[0]["headers"]
    assert client.coming == []


async def test_a_client_that_goes_on_sending_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "LINGER_SECONDS", 0.01)
    client = Client([b"a" * 101], ends=False)
    exchange = client.exchange()
    with pytest.raises(ApiError):
        await exchange.receive()
    await exchange.refuse()
    assert client.got[-1]["more_body"] is False


async def test_a_pause_that_is_too_long_is_refused() -> None:
    client = Client([b"a"], ends=False)
    exchange = client.exchange(seconds=0.01)
    await exchange.receive()
    with pytest.raises(ApiError) as raised:
        await exchange.receive()
    assert (raised.value.status, raised.value.code) == (408, "REQUEST_TIMEOUT")
    await exchange.refuse()
    assert client.status == 408


async def test_a_byte_now_and_then_is_too_slow() -> None:
    """Each pause is short, and the body never ends."""
    client = Client([])
    parts = 0

    async def trickle() -> Message:
        nonlocal parts
        parts += 1
        await asyncio.sleep(0.005)
        return {"type": "http.request", "body": b"a", "more_body": True}

    exchange = Exchange(trickle, client.send, request_id=b"id", most_bytes=10**9, read_seconds=0.1)
    with pytest.raises(ApiError):
        await read(exchange)
    assert parts < 100


async def test_waiting_for_the_client_to_leave_has_no_limit() -> None:
    """A stream asks for nothing else while it goes on."""
    client = Client([b"a"])
    exchange = client.exchange(seconds=0.01)
    await exchange.receive()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await exchange.receive()


async def test_the_response_has_the_id_of_the_request_once() -> None:
    client = Client([b""])
    await respond(client.exchange(), (b"X-Request-Id", b"theirs"), (b"a", b"b"))
    assert client.got[0]["headers"] == [(b"a", b"b"), (b"x-request-id", b"id")]


async def test_a_response_that_has_begun_is_not_replaced() -> None:
    client = Client([b"a" * 101])
    exchange = client.exchange()
    await exchange.send({"type": "http.response.start", "status": 200, "headers": []})
    with pytest.raises(ApiError):
        await exchange.receive()
    assert not exchange.refused
    await exchange.refuse()
    assert [message["type"] for message in client.got] == ["http.response.start"]


async def test_a_body_that_is_long_in_coming_can_be_hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "GRACE_SECONDS", 0.0)
    exchange = Client([b"a"], ends=False).exchange(seconds=60)
    assert not exchange.dawdles()
    reading = asyncio.create_task(read(exchange))
    await asyncio.sleep(0.001)
    assert exchange.dawdles()
    exchange.hurry()
    assert not exchange.dawdles()
    with pytest.raises(ApiError, match="too slowly"):
        await reading


async def test_one_that_is_there_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "GRACE_SECONDS", 0.0)
    exchange = Client([b"a"]).exchange()
    await read(exchange)
    assert not exchange.dawdles()
    exchange.hurry()


async def test_a_body_without_a_limit_may_have_any_length() -> None:
    client = Client([b"a" * 1000] * 3)
    assert len(await read(client.exchange(most=None))) == 3000


async def test_the_time_the_application_takes_is_not_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is slow to take the lines of an import must not end it."""
    now = 0.0
    monkeypatch.setattr(exchanges, "monotonic", lambda: now)
    client = Client([b"a"] * 4)

    async def soon() -> Message:
        for _ in range(3):
            await asyncio.sleep(0)  # a timeout that is over already shows
        return await client.receive()

    exchange = Exchange(soon, client.send, request_id=b"id", most_bytes=None, read_seconds=5.0)
    for _ in range(4):
        assert (await exchange.receive())["body"] == b"a"
        now += 60.0
