"""Finds the word somebody probably meant."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["did_you_mean", "nearest"]

_LEAST_RATIO = 0.6  # difflib's own default: about two letters wrong in a word of six
_SHORTEST_PART = 4  # `limit` means `retrieval_limit`; `on` is in too many words


def nearest(word: str, choices: Iterable[str], *, least: float = _LEAST_RATIO) -> str | None:
    """The choice most like `word`, case and hyphens aside; None when nothing is like it.

    Args:
        word: What was written.
        choices: What could have been meant.
        least: Least share of letters in common, in [0, 1]. A choice that holds the word whole is near anyway.
    """
    wanted = _plain(word)
    rated = [(_likeness(wanted, _plain(choice), least), choice) for choice in choices]
    likeness, choice = max(rated, key=lambda pair: pair[0], default=(0.0, ""))
    return choice if likeness else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint: the nearest choice, or all of them when none is near."""
    every = list(choices)
    match = nearest(word, every)
    if match is not None:
        return f"did you mean {match!r}?"
    return "valid: " + ", ".join(choice or "''" for choice in every)


def _likeness(wanted: str, choice: str, least: float) -> float:
    ratio = SequenceMatcher(None, wanted, choice).ratio()
    part = len(wanted) >= _SHORTEST_PART and wanted in choice
    return ratio if part or ratio >= least else 0.0


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_")
