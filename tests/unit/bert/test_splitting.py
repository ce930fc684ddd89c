"""Cutting long texts, with tokenizers one can count by hand."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.backends.bert.splitting import Splitter, cut


def by_word(text: str) -> list[tuple[int, int]]:
    """A token for each word and each sign."""
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def by_byte(text: str) -> list[tuple[int, int]]:
    """A token for each UTF-8 byte: several tokens share the span of one character."""
    return [(index, index + 1) for index, sign in enumerate(text) for _ in sign.encode("utf-8", "replace")]


def test_a_short_text_is_one_part() -> None:
    """It goes as it is, with its prefix, and its tokens are counted with prefix and special tokens."""
    (part,) = Splitter(by_word, max_tokens=10, special_tokens=2, prefix="query: ").split("  where is it")
    assert part.text == "query:   where is it"
    assert part.tokens == 2 + 2 + 3


def test_an_empty_text_is_one_part() -> None:
    """Every text has a vector."""
    assert [part.text for part in Splitter(by_word, max_tokens=10, special_tokens=2).split("")] == [""]


def test_sentences_stay_whole_where_they_fit() -> None:
    """A sentence's end is the best place to cut, though the share would be reached elsewhere."""
    text = "One two three four. Five six seven eight. Nine ten."
    assert cut(text, by_word(text), 11) == ["One two three four. ", "Five six seven eight. Nine ten."]


def test_words_stay_whole_where_sentences_do_not_fit() -> None:
    """Between words is the next best place."""
    text = "one two three four five six"
    assert cut(text, by_word(text), 3) == ["one two three ", "four five six"]


def test_no_short_remainder() -> None:
    """Parts are about equally long: eleven words of at most ten become six and five, not ten and one."""
    text = " ".join("abcdefghijk")
    assert [len(piece.split()) for piece in cut(text, by_word(text), 10)] == [6, 5]


@pytest.mark.parametrize("text", ["这是第一句。这是第二句。", "first line\nsecond line", 'He said "no!" Then left'])
def test_ends_of_sentences_in_other_clothes(text: str) -> None:
    """Full-width stops need no space, lines end sentences, and quotes may close behind the stop."""
    spans = [(index, index + 1) for index, sign in enumerate(text) if not sign.isspace()]
    first, second = cut(text, spans, len(spans) * 3 // 4)
    assert first in ("这是第一句。", "first line\n", 'He said "no!" ')
    assert first + second == text


def test_a_character_of_several_tokens_is_never_cut() -> None:
    """Bytes of one character stay together even where the budget is smaller."""
    assert cut("日本", by_byte("日本"), 2) == ["日", "本"]


def test_each_part_has_the_prefix_and_room_for_it() -> None:
    """Prefix and special tokens count against what the model reads."""
    splitter = Splitter(by_word, max_tokens=8, special_tokens=2, prefix="passage: ")
    parts = splitter.split(" ".join("abcdefghijkl"))
    assert splitter.budget == 4
    assert all(part.text.startswith("passage: ") and part.tokens <= 8 for part in parts)
    assert "".join(part.text.removeprefix("passage: ") for part in parts) == "a b c d e f g h i j k l"


def test_a_part_that_came_out_longer_is_cut_again() -> None:
    """Half a word can have more tokens than its share: here a word costs its length unless it begins with ``a``."""

    def spans(text: str) -> list[tuple[int, int]]:
        if text.startswith("a"):
            return [(index, index + 2) for index in range(0, len(text), 2)]
        return [(index, index + 1) for index in range(len(text))]

    parts = Splitter(spans, max_tokens=4, special_tokens=0).split("abababababab")
    assert "".join(part.text for part in parts) == "abababababab"
    assert all(part.tokens <= 4 for part in parts)


def test_nul_and_lone_surrogates_are_made_readable() -> None:
    """Tokenizers refuse them; the rest of the text must not be lost for it."""
    (part,) = Splitter(by_word, max_tokens=10, special_tokens=0).split("a\0b\ud800c")
    assert part.text == "a b?c"


@given(st.text(max_size=200), st.integers(1, 12))
def test_parts_join_up_to_the_text(text: str, budget: int) -> None:
    """Whatever the text, nothing is lost, doubled or reordered, and no piece without need is over budget."""
    for spans in (by_word, by_byte):
        pieces = cut(text, spans(text), budget)
        assert "".join(pieces) == text
        assert all(len(spans(piece)) <= max(budget, 4) for piece in pieces)
