"""Conversation files: every form that is read, and what is said of those that cannot be."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router_memory.demo import read_conversations
from router_memory.demo.run import DEFAULT_CONVERSATION
from router_memory.errors import InvalidRequest
from tests.unit.demo.support import line, write

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LOCOMO = Path(os.environ.get("ROUTER_MEMORY_LOCOMO", "locomo-dev.jsonl"))
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "I live in Porto"}], "name": "ana"},
    {"role": "assistant", "content": "Noted."},
    {"role": "user", "content": "Where do I live?"},
]


def test_the_conversations_that_come_along() -> None:
    priya, tomas = read_conversations(DEFAULT_CONVERSATION)
    assert (priya.user, len(priya.messages), len(priya.questions)) == ("priya", 84, 8)
    assert tomas.messages[0].message == {"role": "user", "content": tomas.messages[0].text, "name": "Tomás"}
    assert priya.messages[1].message["role"] == "assistant"
    assert "name" not in priya.messages[1].message
    assert priya.messages[14].session == "2"
    assert priya.messages[14].position == 0
    assert priya.messages[14].created_at == datetime(2026, 3, 19, 17, 42, tzinfo=UTC)


@pytest.mark.skipif(
    not LOCOMO.exists(),
    reason="evaluation data are not part of the project: ROUTER_MEMORY_LOCOMO names locomo-dev.jsonl",
)
def test_two_speakers_who_are_both_users() -> None:
    conversations = read_conversations(LOCOMO)
    assert len(conversations) == 6
    assert {said.role for said in conversations[0].messages} == {"user"}
    assert {said.message["name"] for said in conversations[0].messages} == {"Caroline", "Melanie"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CHAT),
        json.dumps(CHAT, indent=2),
        json.dumps({"messages": CHAT}),
        json.dumps({"messages": CHAT, "model": "m"}, indent=2),
        "\n".join(map(json.dumps, CHAT)),
        "\ufeff" + json.dumps(CHAT),
    ],
    ids=["list", "list, indented", "object", "object, indented", "a message a line", "byte order mark"],
)
def test_openai_messages_are_one_conversation(tmp_path: Path, text: str) -> None:
    path = tmp_path / "chat.json"
    path.write_text(text, encoding="utf-8")
    (conversation,) = read_conversations(path, now=NOW)
    assert conversation.user == "user-1"
    assert [said.message for said in conversation.messages] == CHAT
    assert [said.text for said in conversation.messages][1] == "I live in Porto"
    assert conversation.questions == ()


def test_objects_on_lines_are_several_users(tmp_path: Path) -> None:
    path = write(tmp_path / "chats.jsonl", {"messages": CHAT}, {"messages": CHAT, "id": "bo"}, {"messages": CHAT})
    assert [one.user for one in read_conversations(path)] == ["user-1", "bo", "user-3"]


def test_a_single_message_is_a_conversation(tmp_path: Path) -> None:
    (conversation,) = read_conversations(write(tmp_path / "chat.json", CHAT[3]))
    assert len(conversation.messages) == 1


def test_messages_without_a_time_are_a_minute_apart_and_end_now(tmp_path: Path) -> None:
    (conversation,) = read_conversations(write(tmp_path / "chat.json", CHAT), now=NOW)
    minute = timedelta(minutes=1)
    assert [said.created_at for said in conversation.messages] == [NOW - n * minute for n in (4, 3, 2, 1)]


def test_tool_calls_may_come_without_content(tmp_path: Path) -> None:
    calling = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    (conversation,) = read_conversations(write(tmp_path / "chat.json", [CHAT[1], calling]))
    assert conversation.messages[1].message == calling


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("\n" + json.dumps(line("a", "one")) + "\n\n" + json.dumps({"id": "b"}) + "\n")
    with pytest.raises(InvalidRequest, match="line 4: has no 'messages'"):
        read_conversations(path)


def with_message(**changes: Any) -> dict[str, Any]:
    document = line("a", "one", "two")
    document["messages"][2] |= changes
    return document


def with_question(**changes: Any) -> dict[str, Any]:
    return line(
        "a",
        "one",
        questions=[{"question": "which?", "evidence": ["a0"], "category": "c", "answerable": True} | changes],
    )


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (line(" ", "one"), "id must be a string that is not blank"),
        (line("a", "one") | {"id": 7}, "id must be a string that is not blank, not a number"),
        ({"id": "a", "messages": []}, "messages must be a list that is not empty"),
        ({"id": "a", "messages": {}}, "messages must be a list"),
        ({"id": "a", "messages": ["hello"]}, "messages[0]: must be an object, not a string"),
        ({"id": "a", "messages": [CHAT[2]]}, "no message of role 'user' has text"),
        (with_message(role="robot"), "messages[2]: role must be one of system, developer, user"),
        (with_message(role=None), "messages[2]: role must be one of"),
        (with_message(content=None), "messages[2]: content must be a string or a list of parts, not nothing"),
        (with_message(content=5), "messages[2]: content must be a string or a list of parts, not a number"),
        (with_message(speaker=5), "messages[2]: speaker must be a string"),
        (with_message(session=[]), "messages[2]: session must be a number or a string"),
        (with_message(created_at="yesterday"), "messages[2]: created_at must be a time in ISO 8601, not 'yesterday'"),
        (with_message(created_at=5), "messages[2]: created_at must be a time"),
        (with_message(id="a0"), "two messages have the same id"),
        (line("a", "one", questions={}), "questions must be a list"),
        (line("a", "one", questions=["which?"]), "questions[0]: must be an object"),
        (with_question(question=" "), "questions[0]: question must be a string that is not blank"),
        (with_question(evidence="a0"), "questions[0]: evidence must be a list of message ids"),
        (with_question(evidence=["a9"]), "questions[0]: evidence names the message 'a9', which is not there"),
        (with_question(answerable="yes"), "questions[0]: answerable must be true or false"),
        (["no", "object"], "must be an object"),
        (line("first", "one"), "the id 'first' stands on an earlier line too"),
    ],
)
def test_what_is_malformed_is_named_with_its_line(tmp_path: Path, document: object, problem: str) -> None:
    path = write(tmp_path / "bad.jsonl", line("first", "one"), document)
    with pytest.raises(InvalidRequest) as caught:
        read_conversations(path)
    assert caught.value.message.startswith(f"{path}, line 2: {problem}")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n ", "the file is empty"),
        (b"{}\n", "line 1: holds no messages"),
        (b"7", "line 1: holds no messages"),
        (b'"text"', "line 1: holds no messages"),
        (b"hello", "line 1: is not JSON"),
        (b'{"messages": [\n{"role": "user",}\n]}', "line 2: is not JSON"),
        (b'{"role": "user", "content": "x"}\n{"role": "user" "content"}\n', "line 2: is not JSON"),
        (b'{"role": "user", "content": "x"}\n\xff\n', "line 2: is not UTF-8"),
        (b'[\n {"role": "user", "content": "x"},\n\n {"role": "robot"}\n]', "line 4: messages[1]: role must be one of"),
        (
            b'{"a": [1, "]"],\n "messages":\n [{"role": "user", "content": "x"},\n 7]}',
            "line 4: messages[1]: must be an object",
        ),
        (b'{"role": "user", "content": "x"}\n{"role": "robot"}\n', "line 2: messages[1]: role must be one of"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_a_file_that_holds_no_conversation_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InvalidRequest) as caught:
        read_conversations(path)
    assert problem in caught.value.message
    assert str(path) in caught.value.message


@pytest.mark.parametrize("name", ["missing.jsonl", "", "a\0b"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_conversations(tmp_path / name)
