"""Texts of too many values are told from those that are merely long."""

from __future__ import annotations

import json

import pytest

from router_memory.service.breadth import is_too_broad

MOST = 100


def broad(value: object) -> bool:
    return is_too_broad(json.dumps(value).encode(), most=MOST)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 101,
        b"[" + b"[]," * 101 + b"[]]",
        b"{" + b'"a":1,' * 101 + b'"a":1}',
        b'{"content": "' + b"x" * 200 + b'", "types": [' + b"1, " * 101 + b"1]}",
        b'["\\"", "\\\\", ' + b"0," * 101 + b"0]",
        b'["' + b'","' * 101 + b'"]',
        b'["' + b"," * 101 + b'" "' * 1000 + b'"]',
    ],
)
def test_many_values_are_too_many(text: bytes) -> None:
    assert is_too_broad(text, most=MOST)


@pytest.mark.parametrize(
    "value",
    [
        "a, b, [c], {d} " * 1000,
        '"quoted, [and] {so} on", ' * 1000,
        "\\, \\\\, \\\\\\, " * 1000,
        ["ends in a backslash\\", "[,{" * 1000],
        {"messages": [{"role": "user", "content": "def f(a, b): return [a, b]\n" * 500}] * 10},
    ],
)
def test_what_stands_in_texts_does_not_count(value: object) -> None:
    assert not broad(value)


def test_as_many_as_allowed_are_let_through() -> None:
    assert not broad([*[0] * (MOST - 1), "x" * MOST])
    assert broad([*[0] * MOST, "x" * MOST])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_a_text_that_cannot_be_counted_is_too_broad(encoding: str) -> None:
    assert is_too_broad(json.dumps(['"', *[[]] * 1000]).encode(encoding), most=MOST)
