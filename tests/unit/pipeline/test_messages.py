"""Reading chat messages of every shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from router_memory.pipeline.messages import (
    are_wellformed,
    first_user_text,
    last_user_text,
    new_turns,
    reply_message,
    reply_turn,
    text_of,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROLES = frozenset({"user", "assistant"})


def user(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


def assistant(text: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        (
            [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "x"}},
                {"type": "text", "text": "b"},
            ],
            "a\nb",
        ),
        ([{"type": "input_text", "text": "c"}], "c"),
        ([{"type": "text", "text": None}, 7, "d"], "d"),
        ([{"type": ["text"], "text": "e"}, {"type": "text", "text": "f"}], "f"),
        ({"unexpected": 1}, ""),
        (12, ""),
    ],
)
def test_text_of_any_content(content: object, text: str) -> None:
    """Strings and text parts are text; everything else is none, and no error."""
    assert text_of({"role": "user", "content": content}) == text


@pytest.mark.parametrize("messages", [None, "text", b"bytes", 3, [1], ["a"], {"role": "user"}])
def test_malformed_messages_are_recognised(messages: object) -> None:
    """Only a sequence of mappings is a list of messages."""
    assert not are_wellformed(messages)


def test_the_query_is_the_last_user_message_with_text() -> None:
    """Tool results and image-only messages behind it do not hide it."""
    messages = [user("first"), user("second"), user([{"type": "image_url"}]), {"role": "tool", "content": "42"}]
    assert last_user_text(messages) == "second"


def test_only_messages_behind_the_last_finished_reply_are_new() -> None:
    """Earlier turns were the matter of their own requests, which may have opted out."""
    messages = [user("old"), assistant("old reply"), user("new")]
    assert [turn.content for turn in new_turns(messages, roles=ROLES, now=NOW, history=False)] == ["new"]


def test_history_can_be_asked_for() -> None:
    """With `history` the whole request counts."""
    messages = [user("old"), assistant("old reply"), user("new")]
    turns = new_turns(messages, roles=ROLES, now=NOW, history=True)
    assert [(turn.role, turn.content, turn.position) for turn in turns] == [
        ("user", "old", 0),
        ("assistant", "old reply", 1),
        ("user", "new", 2),
    ]


def test_an_agent_loop_keeps_its_user_message() -> None:
    """A reply that calls tools does not finish the turn."""
    loop = [user("weather?"), assistant("Let me look.", tool_calls=[{"id": "1"}]), {"role": "tool", "content": "sunny"}]
    turns = new_turns(loop, roles=frozenset({"user"}), now=NOW, history=False)
    assert [turn.content for turn in turns] == ["weather?"]


def test_equal_messages_are_told_apart_by_occurrence() -> None:
    """The second "again" of a conversation is another memory than the first."""
    turns = new_turns([user("again please"), user("again please")], roles=ROLES, now=NOW, history=True)
    assert [turn.occurrence for turn in turns] == [0, 1]


def test_the_name_is_the_speaker() -> None:
    """OpenAI's `name` says who speaks."""
    (turn,) = new_turns([user("hi, it is me", name="Ana")], roles=ROLES, now=NOW, history=False)
    assert turn.speaker == "Ana"


@pytest.mark.parametrize("content", ["", "<think>only thoughts</think>", None])
def test_a_reply_without_text_is_no_turn(content: Any) -> None:
    """Nothing to remember of it."""
    assert reply_turn(assistant(content), earlier=[], now=NOW) is None


@pytest.mark.parametrize(
    "reply",
    ["Aisle.", {"role": "assistant", "content": "Aisle."}, {"choices": [{"message": {"content": "Aisle."}}]}],
)
def test_a_reply_comes_as_text_message_or_completion(reply: Any) -> None:
    """Whatever a gateway has in hand."""
    message = reply_message(reply)
    assert message is not None
    assert message["content"] == "Aisle."


@pytest.mark.parametrize(
    "reply",
    [5, ["a"], {}, {"choices": []}, {"choices": 3}, {"choices": [3]}, {"choices": [{"delta": {"content": "A"}}]}],
)
def test_anything_else_is_no_reply(reply: Any) -> None:
    """A chunk of a stream is not a reply yet."""
    assert reply_message(reply) is None


def test_a_reply_that_calls_tools_is_no_turn() -> None:
    """The turn is not finished."""
    assert reply_turn(assistant("Let me look.", tool_calls=[{"id": "1"}]), earlier=[], now=NOW) is None


def test_a_repeated_reply_counts_its_occurrence() -> None:
    """The reply's place among equal replies is the one it will have in the next request's history."""
    earlier = [user("a b"), assistant("<think>x</think>Same."), user("c d")]
    turn = reply_turn(assistant("Same."), earlier=earlier, now=NOW)
    assert turn is not None
    assert (turn.occurrence, turn.position) == (1, 3)


def test_an_injected_block_that_comes_back_is_nobodys_message() -> None:
    """An agent loop may send the plugin's own messages again."""
    block = user('<user_memory id="00000000">\n- [2026-01-01, user] x\n</user_memory id="00000000">')
    messages = [block, user("What about tea?")]
    assert last_user_text([user("What about tea?"), block]) == "What about tea?"
    assert first_user_text(messages) == "What about tea?"
    assert [turn.content for turn in new_turns(messages, roles=ROLES, now=NOW, history=True)] == ["What about tea?"]
