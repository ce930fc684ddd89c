"""What passes through, what does not, and which decision a chat takes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.interfaces.http.proxy.fake import Line, Seen, in_one_piece, plain_chat, streamed
from tests.interfaces.http.proxy.stage import Stage, stage

QUESTION = "Which seat do I like on a long flight?"
FACT = "I like an aisle seat on a long flight"
ODD = (
    b' { "model":"m", "seed": 123456789012345678901234567890, "temperature": 1.10e+0, "user":"\\ud800", "x":1,"x":2,\n'
    b'"messages" : [ {"role":"user","content":"%s"} ] ,"logit_bias":{"1":-0.0}, "stream":false}\n' % QUESTION.encode()
)


def asking(**fields: object) -> bytes:
    return orjson.dumps({"model": "m", "messages": [{"role": "user", "content": QUESTION}], **fields})


def reason(response: object) -> str:
    return str(response.headers["x-router-memory-reason"])  # type: ignore[attr-defined]


async def test_a_body_without_memories_is_forwarded_byte_for_byte(open_stage: Stage) -> None:
    response = await open_stage.chat(ODD)
    assert reason(response) == "no_results"
    assert open_stage.upstream.seen[0].body == ODD


async def test_a_body_with_memories_differs_by_one_message(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    response = await open_stage.chat(ODD)
    assert reason(response) == "injected"
    sent = open_stage.upstream.seen[0].body
    before, after = ODD.split(b'{"role":"user"', 1)
    assert sent.startswith(before + b'{"role":"system"')
    assert sent.endswith(b'{"role":"user"' + after)


@pytest.mark.parametrize("body", [b"", b"not json", b"\xff\xfe", b'{"messages":3}', b"[" * 5000])
async def test_a_body_nobody_can_read_is_the_upstreams_matter(open_stage: Stage, body: bytes) -> None:
    open_stage.upstream.play = in_one_piece(400, b"what?", ("content-type", "text/plain"))
    response = await open_stage.chat(body)
    assert (response.status_code, response.content) == (400, b"what?")
    assert (open_stage.upstream.seen[0].body, reason(response)) == (body, "messages_malformed")


async def test_a_compressed_body_passes_unread(open_stage: Stage) -> None:
    await open_stage.chat(b"\x1f\x8bwhatever", **{"content-encoding": "gzip"})
    seen = open_stage.upstream.seen[0]
    assert (seen.body, seen.header("content-encoding")) == (b"\x1f\x8bwhatever", "gzip")


async def test_a_stream_is_passed_on_byte_for_byte(open_stage: Stage) -> None:
    chunks = (b'data: {"a":1}\n\n: ping\r\n', b"\n\xff\xfe", b"data: [DO", b"NE]\n\ntrailing")
    open_stage.upstream.play = streamed(*chunks)
    response = await open_stage.chat(asking(stream=True))
    assert response.content == b"".join(chunks)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_a_length_beside_chunks_counts_for_nothing(open_stage: Stage) -> None:
    """As RFC 9112 has it; taken over it would end the client's answer too early."""

    async def play(_seen: Seen, line: Line) -> None:
        await line.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n"
            b"6\r\nwhole!\r\n0\r\n\r\n"
        )

    open_stage.upstream.play = play
    response = await open_stage.chat(asking())
    assert response.content == b"whole!"
    assert "content-length" not in response.headers


async def test_a_compressed_answer_is_passed_on_as_it_is(open_stage: Stage) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", "br"))
    open_stage.upstream.play = in_one_piece(200, b"\x0b\x02\x80{}\x03", *headers)
    async with open_stage.http.stream(
        "POST",
        "/chat/completions",
        content=asking(),
        headers={"x-authz-user-id": "u1", "x-vsr-selected-decision": "on"},
    ) as response:
        raw = b"".join([part async for part in response.aiter_raw()])
    assert (raw, response.headers["content-encoding"]) == (b"\x0b\x02\x80{}\x03", "br")
    assert await open_stage.stored() == [QUESTION]


async def test_a_reply_is_asked_for_uncompressed_where_it_is_to_be_read(open_stage: Stage) -> None:
    await open_stage.chat(asking(), **{"accept-encoding": "br"})
    await open_stage.chat(asking(), decision="reads", **{"accept-encoding": "br"})
    assert [seen.header("accept-encoding") for seen in open_stage.upstream.seen] == ["identity", "br"]


async def test_headers_that_are_ours_or_of_one_hop_stay_here(open_stage: Stage) -> None:
    ours = {
        "x-project-id": "p",
        "x-conversation-id": "c",
        "x-disable-router-memory": "false",
        "cookie": "session=1",
        "te": "trailers",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
    }
    await open_stage.chat(asking(), **ours, **{"x-custom": "kept", "openai-organization": "org"})
    seen = open_stage.upstream.seen[0]
    gone = {"x-authz-user-id", "x-vsr-selected-decision", *ours} - {"connection"}
    assert not gone & {name for name, _ in seen.headers}
    assert (seen.header("x-custom"), seen.header("openai-organization")) == ("kept", "org")
    assert seen.header("host") == open_stage.upstream.url.split("/")[2]


async def test_cookies_of_the_upstream_reach_nobody(open_stage: Stage) -> None:
    open_stage.upstream.play = in_one_piece(200, b"{}", ("set-cookie", "a=b"), ("x-ratelimit-remaining", "3"))
    first = await open_stage.chat(asking())
    await open_stage.chat(asking())
    assert "set-cookie" not in first.headers
    assert first.headers["x-ratelimit-remaining"] == "3"
    assert open_stage.upstream.seen[1].header("cookie") is None


async def test_the_clients_credential_goes_on_where_the_upstream_has_none_here(open_stage: Stage) -> None:
    await open_stage.chat(asking(), authorization="Bearer theirs")
    assert open_stage.upstream.seen[0].header("authorization") == "Bearer theirs"


async def test_the_upstreams_own_key_takes_the_place_of_the_clients(tmp_path: Path) -> None:
    async with stage(tmp_path, upstream={"api_key": "sk-up"}) as opened:
        await opened.chat(asking(), authorization="Bearer theirs", **{"x-api-key": "theirs"})
        seen = opened.upstream.seen[0]
    assert [value for name, value in seen.headers if name == "authorization"] == ["Bearer sk-up"]
    assert seen.header("x-api-key") is None


async def test_the_query_goes_on_without_a_user(open_stage: Stage) -> None:
    await open_stage.chat(asking(), "/chat/completions?api-version=2&user_id=x&b=%20")
    assert open_stage.upstream.seen[0].target == "/v1/chat/completions?api-version=2&b=%20"


async def test_an_alias_chooses_decision_and_model(tmp_path: Path) -> None:
    models = [{"name": "personal", "decision": "on", "upstream_model": "real"}, {"name": "plain"}]
    async with stage(tmp_path, models=models) as opened:
        chosen = await opened.chat(asking(model="personal"), decision=None)
        overruled = await opened.chat(asking(model="personal"), decision="off")
        globally = await opened.chat(asking(model="plain"), decision=None)
        unknown = await opened.chat(asking(model="other"), decision=None)
        sent = [orjson.loads(seen.body)["model"] for seen in opened.upstream.seen]
    assert (reason(chosen), reason(overruled), reason(unknown)) == ("no_results", "decision_config", "passthrough")
    assert globally.headers["x-router-memory-status"] == "missing"  # the first one is still visible in its question
    assert sent == ["real", "real", "plain", "other"]


async def test_the_default_decision_is_for_chats_that_name_none(tmp_path: Path) -> None:
    async with stage(tmp_path, default_decision="off") as opened:
        assert reason(await opened.chat(asking(), decision=None)) == "decision_config"
        assert reason(await opened.chat(asking(), decision="on")) == "no_results"


async def test_an_opt_out_neither_reads_nor_writes(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    body = asking()
    response = await open_stage.chat(body, **{"x-disable-router-memory": "true"})
    assert reason(response) == "request_opt_out"
    assert open_stage.upstream.seen[0].body == body
    assert await open_stage.stored() == [FACT]


async def test_a_chat_without_a_user_is_refused(open_stage: Stage) -> None:
    response = await open_stage.http.post("/chat/completions", content=asking())
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "MISSING_USER_ID"
    assert open_stage.upstream.seen == []


async def test_anonymous_chats_pass_without_memory_where_they_are_allowed(tmp_path: Path) -> None:
    async with stage(tmp_path, auth={"anonymous_chats": True}) as opened:
        response = await opened.http.post(
            "/chat/completions", content=asking(), headers={"x-vsr-selected-decision": "on"}
        )
    assert (response.status_code, reason(response)) == (200, "user_id_missing")


@pytest.mark.parametrize("name", ["x-project-id", "x-conversation-id"])
async def test_an_ambiguous_owner_gets_no_memory_but_its_answer(open_stage: Stage, name: str) -> None:
    headers = [("x-authz-user-id", "u1"), ("x-vsr-selected-decision", "on"), (name, "a"), (name, "b")]
    response = await open_stage.http.post("/chat/completions", content=asking(), headers=headers)
    assert response.status_code == 200
    assert reason(response) in ("project_invalid", "conversation_id_invalid")


async def test_a_broken_memory_fails_no_chat(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    open_stage.embedder.failing = True
    response = await open_stage.chat(asking())
    assert (response.status_code, response.headers["x-router-memory-status"]) == (200, "unavailable")


async def test_a_memory_that_raises_fails_no_chat(open_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(**_given: object) -> None:
        raise RuntimeError("a mistake of the program")

    monkeypatch.setattr(open_stage.memory, "on_request", broken)
    body = asking()
    response = await open_stage.chat(body)
    assert (response.status_code, "x-router-memory-status" in response.headers) == (200, False)
    assert open_stage.upstream.seen[0].body == body


async def test_a_reply_that_calls_tools_is_not_stored(open_stage: Stage) -> None:
    open_stage.upstream.play = plain_chat("I look it up.", tool_calls=[{"id": "t", "type": "function", "function": {}}])
    response = await open_stage.chat(asking(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert response.json()["choices"][0]["message"]["tool_calls"][0]["id"] == "t"
    assert await open_stage.stored() == [QUESTION]


async def test_images_stay_in_their_place(open_stage: Stage) -> None:
    await open_stage.knows(FACT)
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "text", "text": QUESTION},
    ]
    await open_stage.chat(asking(messages=[{"role": "user", "content": parts}]))
    sent = orjson.loads(open_stage.upstream.seen[0].body)["messages"]
    assert FACT in sent[0]["content"]
    assert sent[1]["content"] == parts


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/chat/completions", 405),
        ("POST", "/models", 405),
        ("POST", "/embeddings", 404),
        ("GET", "/models/m", 404),
    ],
)
async def test_nothing_else_is_passed_on(open_stage: Stage, method: str, path: str, status: int) -> None:
    response = await open_stage.http.request(method, path, headers={"x-authz-user-id": "u1"})
    assert (response.status_code, open_stage.upstream.seen) == (status, [])


async def test_without_an_upstream_there_is_no_proxy(tmp_path: Path) -> None:
    async with stage(tmp_path, upstream={"url": ""}) as opened:
        response = await opened.chat(asking())
    assert (response.status_code, response.json()["error"]["code"]) == (404, "NO_UPSTREAM")
