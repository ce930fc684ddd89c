"""Upstreams that fail, clients that leave, and requests that are large or slow."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest

from router_memory.interfaces.http.proxy.upstream import Answer
from tests.interfaces.http.proxy.fake import Line, Seen, in_one_piece, plain_chat, streamed
from tests.interfaces.http.proxy.stage import Stage, stage
from tests.servers.ports import free_port

QUESTION = "Which seat do I like on a long flight?"
FACT = "I like an aisle seat on a long flight"
HALF = b'data: {"choices":[{"index":0,"delta":{"content":"You should "}}]}\n\n'


def asking(text: str = QUESTION, **fields: object) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **fields})


def raw_request(body: bytes, more: str = "") -> bytes:
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-authz-user-id: u1\r\nx-vsr-selected-decision: on\r\n"
        f"{more}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def idle(opened: Stage) -> None:
    """Until no request is served any more."""
    await asyncio.wait_for(opened.service.generation.idle(), 10)


async def test_an_upstream_that_is_not_there(tmp_path: Path) -> None:
    async with stage(tmp_path, upstream={"url": f"http://127.0.0.1:{free_port()}/v1"}) as opened:
        response = await opened.chat(asking())
        assert (response.status_code, response.json()["error"]["code"]) == (502, "UPSTREAM_UNREACHABLE")
        assert response.headers["x-router-memory-status"] == "missing"
        async with opened.openai() as client:
            with pytest.raises(openai.InternalServerError, match="cannot be reached"):
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": QUESTION}])
        assert await opened.stored() == []


async def test_an_upstream_that_is_silent_for_too_long(tmp_path: Path) -> None:
    async def silent(_seen: Seen, line: Line) -> None:
        await line.closed_by_peer()
        line.cut()

    async with stage(tmp_path, upstream={"timeout": 0.05}) as opened:
        opened.upstream.play = silent
        response = await opened.chat(asking())
    assert (response.status_code, response.json()["error"]["code"]) == (504, "UPSTREAM_TIMEOUT")


async def test_an_upstream_that_breaks_before_it_answers(open_stage: Stage) -> None:
    async def cut(_seen: Seen, line: Line) -> None:
        line.cut()

    open_stage.upstream.play = cut
    response = await open_stage.chat(asking())
    assert (response.status_code, response.json()["error"]["code"]) == (502, "UPSTREAM_BROKEN")
    assert response.json()["error"]["type"] == "upstream_error"


async def test_an_upstream_that_speaks_no_http(open_stage: Stage) -> None:
    async def garbage(_seen: Seen, line: Line) -> None:
        await line.send(b"SSH-2.0-nothing\r\n\r\n")
        line.cut()

    open_stage.upstream.play = garbage
    assert (await open_stage.chat(asking())).status_code == 502


async def test_more_chats_than_connections_are_told_so(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def held(seen: Seen, line: Line) -> None:
        arrived.set()
        await release.wait()
        await plain_chat("Fine.")(seen, line)

    async with stage(tmp_path, upstream={"max_connections": 1, "connect_timeout": 0.05}) as opened:
        opened.upstream.play = held
        first = asyncio.create_task(opened.chat(asking()))
        await arrived.wait()
        second = await opened.chat(asking())
        release.set()
        assert (await first).status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (503, "UPSTREAM_BUSY")


async def test_an_answer_that_breaks_off_breaks_off_at_the_client_too(open_stage: Stage) -> None:
    async def cut(line: Line) -> None:
        line.cut()

    open_stage.upstream.play = streamed(HALF, finish=cut)
    received: list[bytes] = []

    async def read() -> None:
        headers = {"x-authz-user-id": "u1", "x-vsr-selected-decision": "on"}
        posted = open_stage.http.stream("POST", "/chat/completions", content=asking(stream=True), headers=headers)
        async with posted as response:
            async for part in response.aiter_raw():
                received.append(part)  # noqa: PERF401 - what came before it breaks counts

    with pytest.raises(httpx.RemoteProtocolError):
        await read()
    assert received == [HALF]
    assert await open_stage.stored() == [QUESTION]


async def test_a_client_that_leaves_ends_the_upstreams_work(open_stage: Stage) -> None:
    left = asyncio.Event()

    async def endless(line: Line) -> None:
        await line.closed_by_peer()
        left.set()
        line.cut()

    open_stage.upstream.play = streamed(HALF, finish=endless)
    async with open_stage.openai() as client:
        parts = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        async for _ in parts:
            break
        await parts.close()
    await asyncio.wait_for(left.wait(), 10)
    await idle(open_stage)
    assert await open_stage.stored() == [QUESTION]


@pytest.mark.parametrize("half", [False, True], ids=["closed", "half-closed"])
async def test_a_client_that_leaves_before_the_answer_begins(open_stage: Stage, half: bool) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def silent(_seen: Seen, line: Line) -> None:
        arrived.set()
        await line.closed_by_peer()
        left.set()
        line.cut()

    open_stage.upstream.play = silent
    _, writer = await asyncio.open_connection("127.0.0.1", open_stage.port)
    writer.write(raw_request(asking()))
    await arrived.wait()
    if half:
        writer.write_eof()
    else:
        writer.close()
    await asyncio.wait_for(left.wait(), 10)
    await idle(open_stage)
    writer.close()
    assert await open_stage.stored() == []


async def test_a_client_that_leaves_within_its_body_leaves_nothing_behind(open_stage: Stage) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", open_stage.port)
    writer.write(raw_request(asking(), "expect: 100-continue\r\n")[:-5])
    assert b"100 Continue" in await reader.readline()  # now the body is waited for
    assert open_stage.service.generation.users == 1
    writer.close()
    await idle(open_stage)
    assert open_stage.upstream.seen == []


async def test_connections_are_used_again(open_stage: Stage) -> None:
    for _ in range(3):
        open_stage.upstream.play = plain_chat("Fine.")
        await open_stage.chat(asking())
        open_stage.upstream.play = streamed(HALF, b"data: [DONE]\n\n")
        await open_stage.chat(asking(stream=True))
    assert open_stage.upstream.connections == 1


async def test_a_connection_is_given_back_though_its_client_leaves_meanwhile(
    open_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled halfway, the pool would count it as used for ever."""
    closing, go, interrupted = asyncio.Event(), asyncio.Event(), []
    close = Answer.close

    async def slowly(answer: Answer) -> None:
        closing.set()
        try:
            await go.wait()
        except asyncio.CancelledError:
            interrupted.append(answer)
            raise
        await close(answer)

    async def soon(_seen: Seen, line: Line) -> None:
        await asyncio.sleep(0.1)  # so that somebody looks already whether the client is there
        await plain_chat("An aisle seat.")(_seen, line)

    monkeypatch.setattr(Answer, "close", slowly)
    open_stage.upstream.play = soon
    _, writer = await asyncio.open_connection("127.0.0.1", open_stage.port)
    writer.write(raw_request(asking()))
    await asyncio.wait_for(closing.wait(), 10)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)  # what is awaited is that nothing comes of it
    go.set()
    await idle(open_stage)
    assert not interrupted


async def test_a_slow_answer_is_not_taken_for_a_client_that_left(open_stage: Stage) -> None:
    """Longer than after which somebody looks whether the client is there."""

    async def slow(seen: Seen, line: Line) -> None:
        await asyncio.sleep(0.1)
        await plain_chat("Fine.")(seen, line)

    open_stage.upstream.play = slow
    for _ in range(3):
        assert (await open_stage.chat(asking())).status_code == 200
    assert open_stage.upstream.connections == 1


async def test_a_turn_is_accepted_before_the_client_has_its_last_byte(open_stage: Stage) -> None:
    """The connection of the upstream never ends; what was stored was stored on seeing the reply's end."""
    hold = asyncio.Event()

    async def held(_line: Line) -> None:
        await hold.wait()

    open_stage.upstream.play = streamed(HALF, b"data: [DONE]\n\n", finish=held)
    async with open_stage.openai() as client:
        parts = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        async for part in parts.response.aiter_raw():
            if b"[DONE]" in part:
                break
        assert await open_stage.stored() == [QUESTION, "You should"]
        hold.set()
        await parts.close()


@pytest.mark.parametrize("kind", ["one text", "an image", "many messages"])
async def test_bodies_of_ten_megabytes_pass_with_memory(open_stage: Stage, kind: str) -> None:
    await open_stage.knows(FACT)
    question: dict[str, object] = {"role": "user", "content": QUESTION}
    messages: dict[str, Any] = {
        "one text": [{"role": "assistant", "content": 'some "words" here\n' * 500_000}, question],
        "an image": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "data:" + "QUJD" * 2_500_000}},
                    {"type": "text", "text": QUESTION},
                ],
            }
        ],
        "many messages": [*[{"role": "assistant", "content": "some words " * 90}] * 9_000, question],
    }
    body = asking(messages=messages[kind])
    response = await open_stage.chat(body)
    sent = open_stage.upstream.seen[0].body
    assert (response.status_code, response.headers["x-router-memory-reason"]) == (200, "injected")
    assert len(sent) > len(body) > 9_000_000
    cut = body.index(b"[") + 1
    assert sent.startswith(body[:cut])
    assert sent.endswith(body[cut:])


async def test_answers_of_ten_megabytes_pass(open_stage: Stage) -> None:
    body = b"x" * 10_000_000
    open_stage.upstream.play = in_one_piece(200, body, ("content-type", "application/json"))
    assert (await open_stage.chat(asking())).content == body
    assert await open_stage.stored() == [QUESTION]


async def test_a_body_that_never_ends_keeps_nobody_else_waiting(open_stage: Stage) -> None:
    with socket.create_connection(("127.0.0.1", open_stage.port)) as slow:
        slow.sendall(raw_request(asking())[:-1])
        assert (await open_stage.chat(asking())).status_code == 200
    await idle(open_stage)


async def test_a_reload_leaves_running_chats_alone(open_stage: Stage) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def held(seen: Seen, line: Line) -> None:
        arrived.set()
        await release.wait()
        await plain_chat("An aisle seat.")(seen, line)

    open_stage.upstream.play = held
    chat = asyncio.create_task(open_stage.chat(asking()))
    await arrived.wait()
    await open_stage.service.prepare(open_stage.service.config)
    await open_stage.service.commit()
    release.set()
    assert (await chat).status_code == 200
    await asyncio.gather(*open_stage.service._retiring)
    assert (await open_stage.chat(asking())).status_code == 200
    assert open_stage.service.generation.number == 2
    assert await open_stage.stored() == [QUESTION, "An aisle seat."]
