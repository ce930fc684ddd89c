"""Every line that is wrong is named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from router_memory.errors import InvalidRequest
from router_memory.tuning.traffic import is_traffic, read_traffic

GOOD = {"user_id": "ann", "query": "which seat?"}


def written(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "traffic.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


def test_traffic_without_labels(tmp_path: Path) -> None:
    traffic = read_traffic(written(tmp_path, GOOD, "", {**GOOD, "project": "p"}))
    assert [(one.line, one.scope.project, one.relevant) for one in traffic.asked] == [(1, None, None), (3, "p", None)]
    assert not traffic.labelled


def test_labelled_traffic(tmp_path: Path) -> None:
    traffic = read_traffic(written(tmp_path, {**GOOD, "relevant": ["m1", "m2"]}, {**GOOD, "relevant": []}))
    assert [one.relevant for one in traffic.asked] == [{"m1", "m2"}, frozenset()]
    assert traffic.labelled


def test_fields_that_mean_nothing_are_named(tmp_path: Path) -> None:
    assert read_traffic(written(tmp_path, {**GOOD, "relevent": []}, {**GOOD, "at": 3})).ignored == ("relevent", "at")


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("{", "is not JSON: Expecting property name enclosed in double quotes (column 2)"),
        ("[" * 100_000, "is nested too deeply"),
        ("[1]", "must be an object"),
        ({"messages": []}, "is a conversation, while the first line is a request"),
        ({"query": "which seat?"}, "has no 'user_id'"),
        ({"user_id": "ann"}, "has no 'query'"),
        ({**GOOD, "query": " "}, "query must be a string that is not blank"),
        ({**GOOD, "query": 3}, "query must be a string that is not blank"),
        ({**GOOD, "user_id": 3}, "user_id must be a string, not int"),
        ({**GOOD, "user_id": ""}, "user_id must not be empty"),
        ({**GOOD, "project": ""}, "project must not be empty"),
        ({**GOOD, "relevant": "m1"}, "relevant must be a list of memory ids"),
        ({**GOOD, "relevant": None}, "relevant must be a list of memory ids"),
        ({**GOOD, "relevant": [1]}, "relevant must be a list of memory ids"),
        ({**GOOD, "relevant": []}, "has 'relevant', while line 1 has none"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: Any, wrong: str) -> None:
    path = written(tmp_path, GOOD, line)
    with pytest.raises(InvalidRequest) as caught:
        read_traffic(path)
    assert caught.value.message == f"{path}, line 2: {wrong}"
    assert caught.value.field == "data"


def test_a_label_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="line 2: has no 'relevant', while line 1 has it"):
        read_traffic(written(tmp_path, {**GOOD, "relevant": []}, GOOD))


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\xff")
    with pytest.raises(InvalidRequest, match="line 2: is not UTF-8"):
        read_traffic(path)
    with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
        read_traffic(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize(
    ("line", "traffic"), [(GOOD, True), ({"question": "?"}, True), ({"messages": []}, False), ("[", False)]
)
def test_the_first_line_says_what_a_file_holds(tmp_path: Path, line: Any, traffic: bool) -> None:
    assert is_traffic(written(tmp_path, "", line)) is traffic


def test_what_can_be_read_only_once_is_refused_and_not_read(tmp_path: Path) -> None:
    """A pipe without a writer would block whoever opens it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(InvalidRequest, match="is not a regular file") as caught:
            is_traffic(path)
        assert caught.value.hint == "save them to a file first"


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="the file is empty"):
        is_traffic(written(tmp_path, " "))
