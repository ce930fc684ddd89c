"""The upstream of demonstrations, asked by OpenAI's own client."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import openai
import pytest

from router_memory.demo.upstream import MODEL, echo_of
from router_memory.pipeline.cleaning import strip_thinking
from router_memory.pipeline.inject import render
from router_memory.types import Hit, MemoryRecord, Scope

MESSAGES: list[Any] = [
    {"role": "system", "content": "Known: aisle seats."},
    {"role": "user", "content": "Which seat?\nWindow?"},
]
BROKEN: Any = "no list"


PROGRAM = [sys.executable, "-c", "from router_memory.cli import main; main()", "upstream", "--port"]


def a_hit(content: str) -> Hit:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    record = MemoryRecord(id="0" * 32, scope=Scope("ana"), content=content, created_at=at, updated_at=at)
    return Hit(record, 0.9, 1.0, 0.8, 2.0, {})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    process = subprocess.Popen([*PROGRAM, "0"], stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("no output")
    try:
        yield process.stdout.readline().rsplit(" ", 1)[-1].strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_the_answer_shows_every_message_and_stores_none_of_their_words() -> None:
    text = echo_of(MESSAGES)
    assert "I was sent 2 messages:" in text
    assert "[system] Known: aisle seats." in text
    assert "[user] Which seat?" in text
    assert strip_thinking(text) == "Noted."


@pytest.mark.parametrize(
    ("contents", "said"),
    [(["aisle\n- [1] not another"], "I was given 1 memory."), (["aisle", "trumpet"], "I was given 2 memories.")],
)
def test_the_answer_counts_the_memories_that_were_injected(contents: list[str], said: str) -> None:
    block = render([a_hit(content) for content in contents])
    text = echo_of([{"role": "system", "content": f"Be brief.\n{block}"}, {"role": "user", "content": "Which?"}])
    assert block in text
    assert strip_thinking(text) == said


def test_one_message_is_no_messages() -> None:
    assert "I was sent 1 message:" in echo_of(MESSAGES[:1])


def test_parts_without_text_are_named() -> None:
    content = [{"type": "image_url"}, {"type": "text", "text": "look"}]
    assert "[user] (image_url) look\n" in echo_of([{"role": "user", "content": content}])


async def test_openais_client_talks_to_the_command(address: str) -> None:
    async with openai.AsyncOpenAI(base_url=address, api_key="x", max_retries=0) as client:
        names = [model.id async for model in client.models.list()]
        plain = await client.chat.completions.create(model=MODEL, messages=MESSAGES, n=2)
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        response = await client.responses.create(model=MODEL, input="Which seat?", instructions="Be brief.")
        events = [event async for event in await client.responses.create(model=MODEL, input="x", stream=True)]
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(model=MODEL, messages=BROKEN)
    assert names == [MODEL]
    assert [choice.message.content for choice in plain.choices] == [echo_of(MESSAGES)] * 2
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed.split() == echo_of(MESSAGES).split()
    assert chunks[-1].usage is not None
    assert "[system] Be brief." in response.output_text
    assert events[-1].type == "response.completed"


async def test_openais_client_follows_a_streamed_response(address: str) -> None:
    """Its helper keeps the state of the response, and refuses events that come before what they belong to."""
    async with (
        openai.AsyncOpenAI(base_url=address, api_key="x", max_retries=0) as client,
        client.responses.stream(model="any", input="Which seat?") as stream,
    ):
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    deltas = kinds.count("response.output_text.delta")
    assert deltas > 1
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert final.output_text == echo_of([{"role": "user", "content": "Which seat?"}])


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = subprocess.run([*PROGRAM, str(port)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"cannot listen on 127.0.0.1:{port}: another process listens there" in " ".join(ran.stderr.split())


def test_sigterm_ends_it_well() -> None:
    process = subprocess.Popen([*PROGRAM, "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("no output")
    address = process.stdout.readline().rsplit(" ", 1)[-1].strip()
    openai.OpenAI(base_url=address, api_key="x").models.list()  # it serves
    process.terminate()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
