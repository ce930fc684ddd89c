"""What is collected of a reply that goes by."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.interfaces.http.proxy import events, replies
from router_memory.interfaces.http.proxy.events import EventLines
from router_memory.interfaces.http.proxy.replies import Collector, collector_for

SSE = b"text/event-stream; charset=utf-8"
JSON = b"application/json"


def collector(interface: str = "chat", kind: bytes = SSE, *, length: int | None = None) -> Collector:
    found = collector_for(interface, kind, length=length, most_text=1000)
    assert found is not None
    return found


async def said(found: Collector, *chunks: bytes) -> Any:
    for chunk in chunks:
        found.feed(chunk)
    return await found.reply()


def delta(index: int = 0, **fields: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"index": index, "delta": fields}]}) + b"\n\n"


def event(kind: str, **fields: Any) -> bytes:
    return b"event: x\ndata: " + orjson.dumps({"type": kind, **fields}) + b"\n\n"


@given(
    st.lists(st.tuples(st.text(alphabet='ab :\\"é', max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=5),
    st.integers(1, 7),
)
def test_events_are_the_same_however_the_stream_is_cut(lines: list[tuple[str, bytes]], size: int) -> None:
    stream = b"".join(b": comment%b" % end + b"data: %b%b%b" % (text.encode(), end, end) for text, end in lines)
    found, reader = [], EventLines()
    for start in range(0, len(stream), size):
        found += reader.feed(stream[start : start + size])
    found += reader.feed(b":\n")  # a line end of one carriage return is known by what follows
    assert found == [text.encode() for text, _ in lines]


def test_an_event_of_several_lines_is_one() -> None:
    assert EventLines().feed(b"data: a\ndata:b\nid: 1\n\n") == [b"a\nb"]


def test_a_long_line_is_put_together_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with every part of it, which would take the square of its length."""
    cut, cuts = EventLines._cut, []
    monkeypatch.setattr(EventLines, "_cut", lambda reader: cuts.append(1) or cut(reader))  # type: ignore[func-returns-value]
    reader = EventLines()
    for part in [b"data: ", *[b"x" * 100] * 1000]:
        assert reader.feed(part) == []
    assert reader.feed(b"\n\n") == [b"x" * 100_000]
    assert len(cuts) == 1


def test_an_endless_event_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_BYTES", 10)
    reader = EventLines()
    assert (reader.feed(b"data: " + b"x" * 20), reader.lost, reader.feed(b"\n\ndata: y\n\n")) == ([], True, [])


async def test_the_deltas_of_the_first_choice_add_up() -> None:
    found = collector()
    message = await said(
        found, delta(role="assistant", content=""), delta(content="a "), delta(1, content="no"), delta(content="b")
    )
    assert message["content"] == "a b"
    assert not message["tool_calls"]
    assert not found.complete


async def test_a_stream_is_complete_when_it_says_so() -> None:
    found = collector()
    found.feed(delta(content="a") + b"data: [DONE]\n")
    assert not found.complete
    found.feed(b"\n")
    assert found.complete


@pytest.mark.parametrize(
    "stray",
    [
        b"data: {broken\n\n",
        b"data: 1\n\n",
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":null,"usage":{}}\n\n',
        b'data: {"choices":[null,{"index":0}]}\n\n',
        b": ping\n\n",
    ],
)
async def test_what_is_no_delta_is_passed_over(stray: bytes) -> None:
    assert (await said(collector(), stray, delta(content="a"), stray))["content"] == "a"


async def test_a_lone_surrogate_loses_no_text() -> None:
    raw = b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'
    assert (await said(collector(), delta(content="a"), raw))["content"].startswith("a")


@pytest.mark.parametrize("fields", [{"tool_calls": [{"index": 0}]}, {"function_call": {"name": "f"}}])
async def test_calls_of_tools_are_noticed(fields: dict[str, Any]) -> None:
    assert (await said(collector(), delta(content="a"), delta(**fields)))["tool_calls"]


async def test_a_refusal_is_no_text() -> None:
    assert (await said(collector(), delta(refusal="I cannot")))["content"] == ""


async def test_an_error_within_the_stream_leaves_no_reply() -> None:
    assert await said(collector(), delta(content="a"), b'data: {"error":{"message":"no"}}\n\n') is None


async def test_long_text_is_cut_off() -> None:
    message = await said(collector(), *[delta(content="x" * 600)] * 5)
    assert len(message["content"]) == 1200


async def test_of_a_document_the_first_choice_counts() -> None:
    choices = [
        {"index": 1, "message": {"role": "assistant", "content": "no"}},
        {"index": 0, "message": {"role": "assistant", "content": "yes"}},
    ]
    body = orjson.dumps({"choices": choices})
    found = collector(kind=JSON, length=len(body))
    message = await said(found, body[:9], body[9:])
    assert (message["content"], found.complete) == ("yes", True)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"choices":[]}', b'{"choices":[{"message":"x"}]}', b'{"choices":{}}'])
async def test_a_document_without_a_message_has_no_reply(body: bytes) -> None:
    assert await said(collector(kind=JSON), body) is None


async def test_a_document_that_is_too_long_has_no_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MOST_BYTES", 10)
    assert collector_for("chat", JSON, length=11, most_text=9) is None
    assert await said(collector(kind=JSON), b'{"choices":[{"message":{"content":"a"}}]}') is None


def test_other_types_are_not_read() -> None:
    assert collector_for("chat", b"text/html", length=None, most_text=9) is None


ITEM = {"type": "message", "content": [{"type": "output_text", "text": "whole"}, {"type": "refusal", "refusal": "r"}]}


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
async def test_a_responses_stream_ends_with_the_whole(kind: str) -> None:
    found = collector("responses")
    message = await said(found, event("response.created"), event(kind, response={"output": [ITEM]}))
    assert (message["content"], found.complete) == ("whole", True)


async def test_deltas_of_a_responses_stream_are_not_counted_twice() -> None:
    chunks = [event("response.output_text.delta", delta="who"), event("response.output_text.delta", delta="le")]
    message = await said(collector("responses"), *chunks, event("response.completed", response={"output": [ITEM]}))
    assert message["content"] == "whole"


async def test_a_failed_response_leaves_no_reply() -> None:
    assert (
        await said(collector("responses"), event("response.output_text.delta", delta="a"), event("response.failed"))
        is None
    )


@pytest.mark.parametrize(("kind", "calls"), [("function_call", True), ("web_search_call", False)])
async def test_only_calls_that_the_client_answers_keep_a_turn_open(kind: str, calls: bool) -> None:
    body = orjson.dumps({"output": [{"type": kind}, ITEM]})
    message = await said(collector("responses", JSON), body)
    assert bool(message["tool_calls"]) is calls
