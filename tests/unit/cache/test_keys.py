"""The key of a question holds everything it depends on, and nothing runs into what stands beside it."""

from __future__ import annotations

from dataclasses import fields, make_dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from router_memory.cache import keys as keys_module
from router_memory.cache import query_key, vector_key
from router_memory.cache.keys import KEY_BYTES, key_of, vectors_of
from router_memory.types import Columns, LexicalStatistics, MemoryRecord, MemoryType, Scope, SearchQuery
from tests.doubles import HashingEmbedder
from tests.unit.cache.parts import asked

PRINT = "model/64/print"
OTHERS: dict[str, list[Any]] = {
    "scope": [Scope("bob"), Scope("alice", "garden"), Scope("alice "), Scope("Alice")],
    "text": ["green  tea", "Green tea", "green tea ", ""],
    "lexical": [False],
    "dense_limit": [51, 500],
    "lexical_limit": [401, 50],
    "types": [frozenset({MemoryType.SEMANTIC}), frozenset({MemoryType.EPISODIC}), frozenset(MemoryType)],
}
"""Values other than those of `asked()`. A field without any is a field nobody thought of."""

texts = st.text(st.characters(exclude_categories=()), max_size=8)
ids = st.text(st.sampled_from("ab,;=:1 "), min_size=1, max_size=6).filter(str.strip)
queries = st.builds(
    SearchQuery,
    scope=st.builds(Scope, ids, st.none() | ids),
    text=st.text(st.sampled_from("ab,;=1"), max_size=8),
    lexical=st.booleans(),
    dense_limit=st.integers(0, 12),
    lexical_limit=st.integers(0, 12),
    types=st.frozensets(st.sampled_from(MemoryType)),
)


@pytest.mark.parametrize("field", [field.name for field in fields(SearchQuery)])
def test_every_field_changes_the_key(field: str) -> None:
    """And each of its values another way."""
    plain = asked()
    made = [replace(plain, **{field: value}) for value in OTHERS[field]]
    assert len({query_key(query, PRINT) for query in [plain, *made]}) == 1 + len(made)
    assert len({key_of(query) for query in [plain, *made]}) == 1 + len(made)


def test_what_makes_the_vectors_changes_the_key() -> None:
    """Of a question and of a vector."""
    assert query_key(asked(), PRINT) != query_key(asked(), PRINT + "/other")
    assert vector_key("tea", PRINT) != vector_key("tea", PRINT + "/other")


def test_the_precision_of_the_runtime_is_part_of_what_vectors_are() -> None:
    """int8 vectors are others; torch and onnx make the same, so they find each other's values."""
    marks = {}
    for runtime in ("torch", "onnx", "onnx-int8"):
        embedder = HashingEmbedder()
        embedder.runtime = runtime
        marks[runtime] = vectors_of(embedder)
    assert marks["torch"] == marks["onnx"] != marks["onnx-int8"]
    assert all(mark.startswith(HashingEmbedder.fingerprint) for mark in marks.values())


def test_keys_are_of_one_length() -> None:
    """Whatever they are of."""
    assert {len(query_key(asked("x" * 5_000), PRINT)), len(vector_key("", ""))} == {KEY_BYTES}


@given(queries, queries)
def test_different_questions_have_different_keys(one: SearchQuery, other: SearchQuery) -> None:
    """However their texts are cut; equal ones have equal keys."""
    assert (query_key(one, PRINT) == query_key(other, PRINT)) == (one == other)
    assert (key_of(one) == key_of(other)) == (one == other)


@given(texts, texts, texts, texts)
def test_texts_that_are_alike_when_joined_are_told_apart(text: str, mark: str, text2: str, mark2: str) -> None:
    """Lone surrogates among them."""
    assume((text, mark) != (text2, mark2))
    assert vector_key(text, mark) != vector_key(text2, mark2)
    assert query_key(asked(text), mark) != query_key(asked(text2), mark2)


@given(texts, texts, st.integers(0, 8))
def test_a_border_moved_gives_another_key(text: str, mark: str, cut: int) -> None:
    """The joined text stays the same."""
    joined = mark + text
    assume(joined[cut:] != text)
    assert vector_key(text, mark) != vector_key(joined[cut:], joined[:cut])


def test_a_vector_is_never_found_under_a_questions_key() -> None:
    """Even of the same texts."""
    assert vector_key("tea", PRINT) != keys_module._digest(b"query", [PRINT, "tea"])


@pytest.mark.parametrize("project", ["None", "=", "''", '""', "\u200b"])
def test_a_project_of_an_odd_name_is_not_the_whole_user(project: str) -> None:
    """Nor is it another one."""
    whole, odd, other = (asked(scope=Scope("alice", name)) for name in (None, project, "=" + project))
    assert len({query_key(query, PRINT) for query in (whole, odd, other)}) == 3


def test_the_order_of_types_does_not_matter() -> None:
    """A set has none."""
    kinds = list(MemoryType)
    assert len({query_key(asked(types=frozenset(order)), PRINT) for order in (kinds, kinds[::-1])}) == 1


def test_a_field_without_a_form_is_refused() -> None:
    """When it is added: it must not be left out of the key, or go into it as another value does."""
    for kind in (object, float, list[str], "datetime | None", Scope):
        with pytest.raises(TypeError, match=r"share.*no form in a key"):
            keys_module._names(make_dataclass("Wider", [("text", "str"), ("share", kind)]))
    assert keys_module._names(make_dataclass("Same", [("text", "str"), ("scope", Scope)]), beside="scope") == ["text"]


def test_the_layout_of_what_is_kept_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of another release is read once it is too late for a miss, so its answer must not be found at all."""
    plain = make_dataclass("Record", [("id", "str"), ("content", "str")])
    others = [
        make_dataclass("Record", [("id", "str"), ("content", "str"), ("tags", "str")]),
        make_dataclass("Record", [("id", "str")]),
        make_dataclass("Record", [("content", "str"), ("id", "str")]),
        make_dataclass("Record", [("id", "str"), ("text", "str")]),
        make_dataclass("Record", [("id", "str"), ("content", "str | None")]),
    ]
    found = set()
    for kind in [plain, *others]:
        monkeypatch.setattr(keys_module, "_LAYOUT", keys_module._layout(Scope, kind))
        found.add(query_key(asked(), PRINT))
    assert len(found) == 1 + len(others)
    assert keys_module._layout(plain, plain) != keys_module._layout(plain)


def test_everything_that_is_read_by_its_place_is_in_the_layout() -> None:
    """A question's fields, a record's, and those of what stands beside them."""
    kinds = (Scope, SearchQuery, MemoryRecord, Columns, LexicalStatistics)
    assert keys_module._layout(*kinds) == keys_module._LAYOUT


def test_a_value_without_a_form_is_refused() -> None:
    """Whatever its field says."""
    with pytest.raises(TypeError, match="no form in a key"):
        query_key(replace(asked(), text=object()), PRINT)  # type: ignore[arg-type]


def test_the_user_comes_first() -> None:
    """Level 1 finds a user's answers by it."""
    assert key_of(asked())[0] == asked().scope.user_id
