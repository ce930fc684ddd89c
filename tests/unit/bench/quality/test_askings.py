"""Which questions are asked, and of whose memory besides."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, cast

import pytest

from bench.quality.__main__ import Source, arguments_of
from bench.quality.backend import Opened, backend, configuration
from bench.quality.data import Unit, load
from bench.quality.measure import askings

OPENED = cast(Opened, argparse.Namespace(plugin=None, lookups=None))
"""Nothing is asked here."""


def conversation(user: str, *questions: dict[str, Any]) -> dict[str, Any]:
    messages = [
        {"id": f"{user}1", "role": "user", "content": "I moved to Turin."},
        {"id": f"{user}2", "role": "assistant", "content": "How is it there?"},
    ]
    whole = {"speaker": user, "created_at": "2025-01-01T00:00:00Z", "session": 1}
    return {"id": user, "source": "test", "messages": [whole | one for one in messages], "questions": list(questions)}


def asking(text: str, *evidence: str, category: str = "single", answerable: bool = True) -> dict[str, Any]:
    return {"question": text, "evidence": list(evidence), "category": category, "answerable": answerable}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(*conversations: dict[str, Any]) -> Path:
        path = tmp_path / "set.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in conversations))
        return path

    return written


def test_the_negative_is_the_next_conversation_and_the_first_of_the_last(write: Any) -> None:
    """Chosen without chance."""
    path = write(*(conversation(user, asking("Where?", f"{user}1")) for user in "abc"))
    found = askings(OPENED, list(load(path)))
    assert [(one.own.id, one.other and one.other.id) for one in found] == [("a", "b"), ("b", "c"), ("c", "a")]


def test_one_conversation_has_no_negative(write: Any) -> None:
    """Its own memory is none."""
    (only,) = askings(OPENED, list(load(write(conversation("a", asking("Where?", "a1"))))))
    assert only.other is None


def test_questions_without_evidence_are_left_out_and_unanswerable_ones_kept(write: Any) -> None:
    """The adversarial category has no answer, whatever the file says."""
    questions = [
        asking("Where?", "a1"),
        asking("And then?"),
        asking("Who?", answerable=False),
        asking("Which?", "a1", category="5"),
    ]
    found = askings(OPENED, list(load(write(conversation("a", *questions)))))
    assert [(one.question.text, one.answerable) for one in found] == [
        ("Where?", True),
        ("Who?", False),
        ("Which?", False),
    ]


def test_evidence_of_a_role_that_is_not_stored_does_not_count(write: Any) -> None:
    """Nobody could find it."""
    path = write(conversation("a", asking("Where?", "a1", "a2"), asking("How?", "a2")))
    (only,) = askings(OPENED, list(load(path, roles=frozenset({"user"}))))
    assert only.question.evidence == {"a1"}


def test_a_set_may_name_its_roles(write: Any) -> None:
    """`FILE:ROLE`; a set without takes those of --roles."""
    path = write()
    arguments = arguments_of(["--data", f"{path}:user", str(path), "--roles", "assistant"])
    assert arguments.data == [Source(path, ("user",)), Source(path, ("assistant",))]
    assert [source.name for source in arguments.data] == ["set, user messages", "set, assistant messages"]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is loaded."""
    with pytest.raises(SystemExit):
        arguments_of(["--data", str(tmp_path / "none.jsonl")])
    assert "there is no file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [("valkey", "nowhere", "--address must be host:port"), ("embedded", "127.0.0.1:1", "--address is of")],
)
def test_a_wrong_address_is_refused(name: str, address: str, said: str) -> None:
    """In words."""
    with pytest.raises(SystemExit, match=said), backend(name, address):
        pass


def test_without_the_search_module_the_valkey_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to set, and measures nothing."""
    monkeypatch.delenv("ROUTER_MEMORY_TEST_VALKEY", raising=False)
    monkeypatch.setattr("tests.servers.find._FOLDERS", ())
    monkeypatch.delenv("ROUTER_MEMORY_SEARCH_MODULE", raising=False)
    with pytest.raises(SystemExit, match="ROUTER_MEMORY_SEARCH_MODULE"), backend("valkey"):
        pass


def test_a_runtime_takes_the_place_of_the_configured_one(tmp_path: Path) -> None:
    """And leaves the rest of the section."""
    path = tmp_path / "config.yaml"
    path.write_text("global: {stores: {memory: {embedding: {batch_size: 4}}}}")
    memory = configuration(path, runtime="torch")["global"]["stores"]["memory"]
    assert memory["embedding"] == {"batch_size": 4, "runtime": "torch"}


@pytest.mark.parametrize(
    ("unit", "contents", "ids"),
    [
        (Unit.MESSAGE, ["a?", "b", "c", "d"], [("1",), ("2",), ("3",), ("4",)]),
        (Unit.PAIR, ["Ana: a?\nBob: b", "Ana: c", "Bob: d"], [("1", "2"), ("3",), ("4",)]),
        (Unit.WINDOW, ["a?\nb", "a?\nb\nc", "b\nc", "d"], [("1",), ("2",), ("3",), ("4",)]),
    ],
)
def test_a_unit_never_crosses_a_session(
    tmp_path: Path, unit: Unit, contents: list[str], ids: list[tuple[str, ...]]
) -> None:
    """And evidence is found by the message whatever it stands in."""
    said = [("1", "Ana", 1, "a?"), ("2", "Bob", 1, "b"), ("3", "Ana", 1, "c"), ("4", "Bob", 2, "d")]
    messages = [
        {
            "id": id_,
            "role": "user",
            "speaker": name,
            "created_at": "2025-01-01T00:00:00Z",
            "session": s,
            "content": text,
        }
        for id_, name, s, text in said
    ]
    questions = [{"question": "?", "evidence": ["2"], "category": "1", "answerable": True}]
    document = {"id": "x", "source": "here", "speakers": [], "messages": messages, "questions": questions}
    (tmp_path / "x.jsonl").write_text(json.dumps(document), encoding="utf-8")
    (made,) = load(tmp_path / "x.jsonl", unit=unit)
    assert [turn.content for turns in made.sessions.values() for turn in turns] == contents
    assert list(made.message_ids.values()) == ids
    assert made.questions[0].evidence == {"2"}
