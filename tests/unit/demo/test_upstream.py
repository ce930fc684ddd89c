"""The upstream of demonstrations, asked by OpenAI's own client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from router_memory.demo.upstream import MODEL, echo_of
from router_memory.pipeline.cleaning import strip_thinking

MESSAGES: list[Any] = [
    {"role": "system", "content": "Known: aisle seats."},
    {"role": "user", "content": "Which seat?\nWindow?"},
]
BROKEN: Any = "no list"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    program = "from router_memory.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "upstream", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    if process.stdout is None:
        raise RuntimeError("no output")
    try:
        yield process.stdout.readline().rsplit(" ", 1)[-1].strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_the_answer_shows_every_message_and_stores_as_the_last_one_alone() -> None:
    text = echo_of(MESSAGES)
    assert "[system] Known: aisle seats." in text
    assert "[user] Which seat?" in text
    assert strip_thinking(text) == "You said: Which seat?\nWindow?"


def test_parts_without_text_are_named() -> None:
    content = [{"type": "image_url"}, {"type": "text", "text": "look"}]
    assert echo_of([{"role": "user", "content": content}]).endswith("You said: (image_url) look")


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
