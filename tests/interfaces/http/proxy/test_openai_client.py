"""What OpenAI's own client sees."""

from __future__ import annotations

from pathlib import Path

import openai
import orjson
import pytest

from tests.interfaces.http.proxy.fake import in_one_piece, plain_chat, streamed
from tests.interfaces.http.proxy.stage import Stage, stage

QUESTION = "Which seat do I like on a long flight?"
FACT = "I like an aisle seat on a long flight"


def chunk(text: str | None = None, **delta: object) -> bytes:
    said = {**({} if text is None else {"content": text}), **delta}
    choice = {"index": 0, "delta": said, "finish_reason": None}
    return b"data: " + orjson.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"


async def test_a_plain_chat_gets_memories_and_becomes_one(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    open_stage.upstream.play = plain_chat("An aisle seat, as always.")
    async with open_stage.openai() as client:
        said = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": QUESTION}])
    assert said.choices[0].message.content == "An aisle seat, as always."
    sent = orjson.loads(open_stage.upstream.seen[0].body)["messages"]
    assert [message["role"] for message in sent] == ["system", "user"]
    assert FACT in sent[0]["content"]
    assert await open_stage.stored() == [FACT, QUESTION, "An aisle seat, as always."]


async def test_a_streamed_chat_gets_memories_and_becomes_one(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    open_stage.upstream.play = streamed(
        chunk("", role="assistant"), chunk("An aisle "), chunk("seat, as always."), b"data: [DONE]\n\n"
    )
    async with open_stage.openai() as client:
        parts = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        text = "".join([part.choices[0].delta.content or "" async for part in parts])
    assert text == "An aisle seat, as always."
    assert FACT in orjson.loads(open_stage.upstream.seen[0].body)["messages"][0]["content"]
    assert await open_stage.stored() == [FACT, QUESTION, "An aisle seat, as always."]


async def test_headers_say_what_memory_did(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    async with open_stage.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="m", messages=[{"role": "user", "content": QUESTION}]
        )
    said = {name: raw.headers[f"x-router-memory-{name}"] for name in ("status", "reason", "count")}
    assert said == {"status": "used", "reason": "injected", "count": "1"}
    assert float(raw.headers["x-router-memory-ms"]) > 0


async def test_a_plain_response_gets_memories_in_its_instructions(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    part = {"type": "output_text", "text": "An aisle seat.", "annotations": []}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    body = orjson.dumps({"id": "r", "object": "response", "created_at": 1, "model": "m", "output": [item]})
    open_stage.upstream.play = in_one_piece(200, body, ("content-type", "application/json"))
    async with open_stage.openai() as client:
        said = await client.responses.create(model="m", input=QUESTION, instructions="Be brief.")
    assert said.output_text == "An aisle seat."
    sent = orjson.loads(open_stage.upstream.seen[0].body)
    assert sent["input"] == QUESTION
    assert sent["instructions"].startswith("Be brief.\n\n<user_memory")
    assert FACT in sent["instructions"]
    assert await open_stage.stored() == [FACT, QUESTION, "An aisle seat."]


async def test_a_streamed_response_becomes_a_memory(open_stage: Stage) -> None:
    place = {"item_id": "i", "output_index": 0, "content_index": 0, "sequence_number": 1, "logprobs": []}
    events = [
        {"type": "response.output_text.delta", "delta": "An aisle ", **place},
        {"type": "response.output_text.delta", "delta": "seat.", **place},
        {"type": "response.completed", "sequence_number": 2, "response": {"id": "r", "output": []}},
    ]
    open_stage.upstream.play = streamed(
        *(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events)  # type: ignore[attr-defined]
    )
    async with open_stage.openai() as client:
        parts = await client.responses.create(model="m", input=QUESTION, stream=True)
        seen = [part.type async for part in parts]
    assert seen == [event["type"] for event in events]
    assert await open_stage.stored() == [QUESTION, "An aisle seat."]


async def test_models_are_the_upstreams_and_our_aliases(tmp_path: Path) -> None:
    model = b'{"id":"m","object":"model","created":1,"owned_by":"u","size":12345678901234567890123}'
    body = b'{"object":"list","data":[%s]}' % model
    async with stage(tmp_path, models=[{"name": "personal", "decision": "on"}, {"name": "m"}]) as opened:
        opened.upstream.play = in_one_piece(200, body, ("content-type", "application/json"))
        async with opened.openai() as client:
            names = [model.id async for model in client.models.list()]
        raw = (await opened.http.get("/models", headers={"x-authz-user-id": "u1"})).content
    assert names == ["m", "personal"]
    assert raw.startswith(body[:-2])


@pytest.mark.parametrize(("status", "kind"), [(429, openai.RateLimitError), (400, openai.BadRequestError)])
async def test_errors_of_the_upstream_come_through(
    open_stage: Stage, status: int, kind: type[openai.APIStatusError]
) -> None:
    body = b'{"error":{"message":"slow down","type":"t","code":"c","extra":1}}'
    open_stage.upstream.play = in_one_piece(
        status, body, ("content-type", "application/json"), ("retry-after", "7"), ("x-request-id", "up-1")
    )
    async with open_stage.openai() as client:
        with pytest.raises(kind) as caught:
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": QUESTION}])
    assert caught.value.response.content == body
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-upstream-request-id"] == "up-1"
    assert await open_stage.stored() == []
