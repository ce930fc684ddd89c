"""What a body holds besides the message added to it reaches the upstream exactly as the client wrote it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.interfaces.http.proxy.forms import CHAT, RESPONSES
from router_memory.interfaces.http.proxy.scan import MOST_BRACKETS, MOST_ELEMENTS, Layout, Unreadable, scan
from router_memory.interfaces.http.proxy.values import edited

ADDED = {"role": "system", "content": 'remembered "this"\n'}

_TEXTS = st.one_of(st.text(), st.sampled_from(['"', "\\", '\\"', "[{", "}]", "\ud800", "é€😀", "\x7f"]))
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False), _TEXTS
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_TEXTS, inner, max_size=4)),
    max_leaves=12,
)
_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": _TEXTS}, optional={"x": _VALUES}
    ),
    max_size=5,
)
_BLANKS = st.sampled_from(["", " ", "\n\t", "\r\n  "])


def written(pairs: Sequence[tuple[str, Any]], blank: str, *, ascii_only: bool) -> bytes:
    """An object with these members, in this order, equal names and all; lone surrogates as escapes."""

    def one(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, indent=1 if blank else None)

    members = f"{blank},{blank}".join(f"{one(name)}{blank}:{blank}{one(value)}" for name, value in pairs)
    return f"{blank}{{{blank}{members}{blank}}}{blank}".encode("utf-8", "backslashreplace")


def pairs_of(body: bytes) -> list[tuple[str, Any]]:
    """All members, those of equal names too, with numbers as they are written."""
    return json.loads(body, object_pairs_hook=list, parse_int=str, parse_float=str)  # type: ignore[no-any-return]


async def spliced(form: Any, body: bytes, at: int, role: str = "system") -> bytes:
    reading = await form.read(body)
    edit = form.insert(body, reading, {**ADDED, "role": role}, at)
    assert edit is not None
    return b"".join(edited(body, [edit]))


@given(
    before=st.lists(st.tuples(_TEXTS, _VALUES), max_size=4),
    messages=_MESSAGES,
    after=st.lists(st.tuples(_TEXTS.filter(lambda name: name != "messages"), _VALUES), max_size=4),
    blank=_BLANKS,
    ascii_only=st.booleans(),
    place=st.integers(0, 5),
)
async def test_a_chat_differs_by_the_message_alone(
    before: list[tuple[str, Any]],
    messages: list[Any],
    after: list[tuple[str, Any]],
    blank: str,
    ascii_only: bool,
    place: int,
) -> None:
    body = written([*before, ("messages", messages), *after], blank, ascii_only=ascii_only)
    at = min(place, len(messages))
    sent = await spliced(CHAT, body, at)
    expected = pairs_of(body)
    index = len(before)
    name, listed = expected[index]
    expected[index] = name, [*listed[:at], list(ADDED.items()), *listed[at:]]
    assert pairs_of(sent) == expected
    kept = sent.replace(json.dumps(ADDED, separators=(",", ":")).encode(), b"", 1)
    assert kept in (body, *(body[:i] + b"," + body[i:] for i in range(len(body) + 1)))


@given(before=st.lists(st.tuples(_TEXTS, _VALUES), max_size=3), text=_TEXTS, blank=_BLANKS, instructions=st.booleans())
async def test_a_response_differs_by_its_instructions_alone(
    before: list[tuple[str, Any]], text: str, blank: str, instructions: bool
) -> None:
    names = {"instructions", "prompt", "input"}
    before = [pair for pair in before if pair[0] not in names]
    own = [("instructions", text)] if instructions else []
    body = written([*before, ("input", text), *own], blank, ascii_only=True)
    sent = pairs_of(await spliced(RESPONSES, body, 0))
    added = [value for name, value in sent if name == "instructions"]
    assert [pair for pair in sent if pair[0] != "instructions"] == [
        pair for pair in pairs_of(body) if pair[0] != "instructions"
    ]
    lead = f"{text}\n\n" if instructions and text else ""
    assert added == [lead + ADDED["content"]]


@pytest.mark.parametrize(
    ("given_body", "role", "expected"),
    [
        (b'{"input":"a\\ud800"}', "user", b'{"input":[%s,{"role":"user","content":"a\\ud800"}]}'),
        (b'{"input":[ {"role":"user"} ]}', "user", b'{"input":[ %s,{"role":"user"} ]}'),
        (b'{"prompt":{"id":"p"},"input":[]}', "system", b'{"prompt":{"id":"p"},"input":[%s]}'),
    ],
)
async def test_where_instructions_are_no_place_the_message_goes_into_the_input(
    given_body: bytes, role: str, expected: bytes
) -> None:
    message = json.dumps({**ADDED, "role": role}, separators=(",", ":")).encode()
    assert await spliced(RESPONSES, given_body, 0, role) == expected % message


@pytest.mark.parametrize("instructions", [b"null", b'""'])
async def test_empty_instructions_are_filled(instructions: bytes) -> None:
    sent = await spliced(RESPONSES, b'{"instructions":%s,"input":"x"}' % instructions, 0)
    assert json.loads(sent) == {"instructions": ADDED["content"], "input": "x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"messages":[{"role":"user"}',
        b'{"messages":[{"role":"user"}]} x',
        b'{"messages":[{"role":"user"}]]',
        b'{"messages":"unended}',
        b'{"messages"}',
        b'{"messages":}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\\',
        "{}".encode("utf-16"),
        b'{"messages":[' + b",".join([b"{}"] * (MOST_ELEMENTS + 1)) + b"]}",
        b'{"messages":[' + b"[" * MOST_BRACKETS + b"]" * MOST_BRACKETS + b"]}",
    ],
)
async def test_what_is_no_object_is_not_read(body: bytes) -> None:
    with pytest.raises(Unreadable):
        list(scan(body, frozenset({"messages"}), Layout()))
    assert (await CHAT.read(body)).messages is None
    assert (await RESPONSES.read(body)).messages is None


@pytest.mark.parametrize("messages", [b"[1]", b'"text"', b"{}", b'[{"role":"user"},null]', b"null"])
async def test_messages_that_are_no_list_of_objects_are_not_read(messages: bytes) -> None:
    reading = await CHAT.read(b'{"model":"m","messages":' + messages + b"}")
    assert (reading.model, reading.messages) == ("m", None)


async def test_of_two_members_of_a_name_the_last_one_counts() -> None:
    body = b'{"model":"a","messages":[{"role":"user","content":"first"}],"model":"b","mess\\u0061ges":[]}'
    reading = await CHAT.read(body)
    assert (reading.model, reading.messages) == ("b", [])
    assert await spliced(CHAT, body, 0) == body.replace(
        b"[]", b"[%s]" % json.dumps(ADDED, separators=(",", ":")).encode()
    )


@pytest.mark.parametrize("backslashes", [1, 2, 3, 63, 64, 65, 130])
async def test_backslashes_before_a_quote_are_counted(backslashes: int) -> None:
    slashes = "\\" * backslashes
    body = json.dumps({"long": "x" * 70_000 + slashes + '"' + slashes, "messages": [], "model": "m"}).encode()
    assert (await CHAT.read(body)).model == "m"


def test_a_large_body_is_read_in_many_steps() -> None:
    messages = [{"role": "user", "content": "some words\n" * 100}] * 5_000
    body = json.dumps({"messages": messages}).encode()
    layout = Layout()
    assert len(list(scan(body, frozenset({"messages"}), layout))) > 10
    assert len(layout.elements["messages"]) == 5_000


async def test_items_of_the_responses_api_are_read_as_messages() -> None:
    items = [
        {"role": "user", "content": "a"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b"}]},
        {"type": "function_call", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "output": "c"},
    ]
    body = json.dumps({"instructions": "i", "input": items, "conversation": {"id": "conv"}}).encode()
    reading = await RESPONSES.read(body)
    assert reading.messages is not None
    assert [message["role"] for message in reading.messages] == ["system", "user", "assistant", "assistant", "tool"]
    assert (reading.lead, reading.conversation_id) == (1, "conv")
