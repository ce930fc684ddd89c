"""What counts as text, as reasoning, as small talk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.pipeline.cleaning import clean, is_greeting, is_low_entropy, split_bytes, strip_thinking


@pytest.mark.parametrize("bad", ["\x00", "\ud83d", "a\x00b\udfffc"])
def test_unstorable_characters_become_replacement_characters(bad: str) -> None:
    """NUL and lone surrogates cannot be stored; everything around them is kept."""
    cleaned = clean(bad)
    assert "�" in cleaned
    assert len(cleaned) == len(bad)
    cleaned.encode("utf-8")


def test_complete_emoji_survive() -> None:
    """Only halves of surrogate pairs are replaced."""
    assert clean(" 👩‍🍳 ") == "👩‍🍳"


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("<think>hm</think>Yes, aisle.", "Yes, aisle."),
        ("<THINKING>a\nb</THINKING>\nDone", "Done"),
        ("the opening tag was lost</think>Answer", "Answer"),
        ("<think>never finished", ""),
        ("Use the <think> tag in HTML?", "Use the <think> tag in HTML?"),
        ("<think>a</think>One. <think>b</think>Two.", "One. Two."),
    ],
)
def test_reasoning_is_stripped(reply: str, left: str) -> None:
    """Paired, unopened and unclosed reasoning goes; a tag in the middle of an answer stays."""
    assert strip_thinking(reply) == left


def test_hostile_texts_are_read_in_one_pass() -> None:
    """A megabyte of unclosed tags or of a refusal that never ends; quadratic matching would take minutes."""
    assert strip_thinking("Hello. " + "<think>" * 150_000).startswith("Hello.")
    assert strip_thinking("</think>" * 130_000 + "Done").endswith("Done")
    assert not is_low_entropy("as an ai, , ," * 80_000)


def test_a_desert_of_white_space_makes_no_empty_part() -> None:
    """Parts hold text."""
    assert list(split_bytes("a" + " " * 1000 + "\u2003" * 50 + "b", 64)) == ["a", "b"]


@pytest.mark.parametrize("text", ["Hi!", "hello there", "Good morning everyone", "thanks!", "ok", "👍", "…", ""])
def test_small_talk_is_no_query(text: str) -> None:
    """Greetings and acknowledgements are not searched for."""
    assert is_greeting(text)


@pytest.mark.parametrize("text", ["aisle seat?", "my name?", "Hi, which seat do I like?", "nuts?", "座席は?"])
def test_short_questions_are_queries(text: str) -> None:
    """A short question is still a question, in any script."""
    assert not is_greeting(text)


@pytest.mark.parametrize(
    "text", ["I'm allergic to nuts", "We moved.", "Two cats", "My PIN is 4711", "I can't help my sister on Monday"]
)
def test_short_facts_are_kept(text: str) -> None:
    """Length is no sign of worth: the reference drops everything below 30 bytes."""
    assert not is_low_entropy(text)


@pytest.mark.parametrize(
    "text", ["Sorry, but I can't help with that.", "I'm sorry, I cannot assist with this request.", "Okay, great!"]
)
def test_refusals_and_acknowledgements_are_not_kept(text: str) -> None:
    """Turns that say nothing are skipped."""
    assert is_low_entropy(text)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.integers(4, 64))
def test_split_loses_nothing_but_white_space(text: str, limit: int) -> None:
    """The parts hold every other character in order and respect the limit."""
    parts = list(split_bytes(text, limit))
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(len(part.encode()) <= limit for part in parts)
