"""The word somebody probably meant."""

from __future__ import annotations

import pytest

from router_memory.config.nearest import did_you_mean, nearest

KEYS = ("retrieval_limit", "similarity_threshold", "enabled")


@pytest.mark.parametrize(
    ("word", "match"),
    [
        ("retreival_limit", "retrieval_limit"),
        ("Retrieval-Limit", "retrieval_limit"),
        ("threshold", "similarity_threshold"),
        ("enable", "enabled"),
        ("colour", None),
        ("on", None),
        ("", None),
    ],
)
def test_the_nearest_word(word: str, match: str | None) -> None:
    assert nearest(word, KEYS) == match


def test_nothing_is_near_when_there_is_nothing() -> None:
    assert nearest("word", ()) is None


def test_without_a_near_one_the_hint_lists_all() -> None:
    assert did_you_mean("colour", ("", "rerank", "rrf")) == "valid: '', rerank, rrf"
