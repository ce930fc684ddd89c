"""A memory survives its line, and no line at all breaks its reader."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.errors import InvalidRequest
from router_memory.storage.portable import FIELDS, FORMAT, check_portable, from_line, to_line
from router_memory.types import MemoryRecord, MemoryType, Scope

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
plain = texts.map(lambda text: text.replace("\0", ""))
ids = texts.filter(str.strip)
whole = st.integers(0, 2**63 - 1)
moments = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 - strategies take naive bounds
    datetime(9999, 12, 30),  # noqa: DTZ001 - the same
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=11))]),
)
records = st.builds(
    MemoryRecord,
    id=plain.filter(str.strip),
    scope=st.builds(Scope, ids, st.none() | ids),
    content=plain.filter(str.strip),
    type=st.sampled_from(MemoryType),
    role=st.none() | texts,
    speaker=st.none() | texts,
    conversation_id=st.none() | texts,
    position=whole,
    part=whole,
    created_at=moments,
    updated_at=moments,
    importance=st.floats(0, 1) | st.sampled_from([0, 1]),
    access_count=whole,
    accessed_at=st.none() | moments,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


@given(records)
def test_a_record_comes_back_from_its_line_as_it_was(record: MemoryRecord) -> None:
    check_portable(record)
    line = to_line(record)
    assert from_line(line.encode()) == (record, ())
    assert line.splitlines() == [line]  # by the broadest notion of a line there is
    assert tuple(json.loads(line)) == FIELDS


@given(records, st.dictionaries(texts, values, max_size=3))
def test_fields_that_mean_nothing_are_named(record: MemoryRecord, others: dict[str, Any]) -> None:
    unknown = {name: value for name, value in others.items() if name not in FIELDS}
    line = json.dumps(unknown | json.loads(to_line(record)))
    assert from_line(line.encode()) == (record, tuple(unknown))


@given(st.binary())
def test_any_bytes_are_refused_with_the_typed_error(line: bytes) -> None:
    with pytest.raises(InvalidRequest):
        from_line(line)


@given(records, st.dictionaries(st.sampled_from(FIELDS), values, min_size=1, max_size=3))
def test_any_values_are_read_or_refused(record: MemoryRecord, changes: dict[str, Any]) -> None:
    """What is read can be kept by a store."""
    line = json.dumps(json.loads(to_line(record)) | changes)
    try:
        read, _ = from_line(line.encode())
    except InvalidRequest:
        return
    check_portable(read)


MINIMAL = {"format": FORMAT, "id": "a", "user_id": "u", "content": "c", "created_at": "2026-03-01T12:00:00Z"}


def test_a_line_needs_little() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    expected = MemoryRecord(id="a", scope=Scope("u"), content="c", created_at=at, updated_at=at)
    assert from_line(b"\xef\xbb\xbf" + json.dumps(MINIMAL).encode() + b"\r") == (expected, ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "is not JSON: Expecting property name"),
        (b"[]", "is not a JSON object"),
        (b"\xff", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON that can be read"),
        (b"9" * 10_000, "is not JSON that can be read"),
        (b"{}", "is no exported memory: its format is not 'router-memory/1'"),
        (json.dumps(MINIMAL | {"format": "router-memory/2"}).encode(), "has the form 'router-memory/2', this version"),
        (json.dumps({"format": FORMAT, "id": "a"}).encode(), "user_id, content, created_at missing"),
        (json.dumps(MINIMAL | {"type": "poetic"}).encode(), "type must be one of semantic, procedural, episodic"),
        (json.dumps(MINIMAL | {"created_at": "2026-03-01"}).encode(), "created_at must be an ISO 8601 time with an"),
        (json.dumps(MINIMAL | {"created_at": 5}).encode(), "created_at must be an ISO 8601 time with an"),
        (json.dumps(MINIMAL | {"user_id": " "}).encode(), "user_id must not be empty"),
        (json.dumps(MINIMAL | {"importance": 2}).encode(), "importance must be a number in [0, 1]"),
        (json.dumps(MINIMAL | {"content": "secret\0"}).encode(), "content must not hold NUL"),
    ],
)
def test_a_refusal_says_why(line: bytes, message: str) -> None:
    """And holds no content."""
    with pytest.raises(InvalidRequest) as caught:
        from_line(line)
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)
