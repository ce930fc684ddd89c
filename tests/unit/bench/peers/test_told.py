"""Products without a field for the speaker are told in the text, and what they find is counted as what was said."""

from __future__ import annotations

from bench.peers.drivers.serving import Memory, Named
from bench.peers.products import OURS, RUNTIME, SHIPPED, TOLD

MEMORY = Memory("m1", "u1", "s1", 0, "user", "Maren", "2026-01-01T00:00:00+00:00", "I  like figs.")


def test_the_name_stands_before_the_text_and_is_taken_off_again() -> None:
    named = Named()
    told = named.told(MEMORY)
    assert told.text == "Maren: I  like figs."
    assert named.said([told.text, "Maren: I like figs.", "Oskar: no."]) == [
        "I  like figs.",
        "I  like figs.",
        "Oskar: no.",
    ]


def test_all_but_ours_are_told_in_the_text() -> None:
    assert {one.name for one in TOLD if one.options.get("speaker") != "in the text"} == {OURS}


def test_a_product_is_chosen_by_the_same_first_word_in_every_table() -> None:
    """As `--peers` takes them."""
    first = {one.name.split()[0] for one in (*SHIPPED, *RUNTIME, *TOLD) if not one.ours}
    assert first == {"mem0", "LangGraph", "Chroma", "LanceDB", "reference"}
