"""What may stand in a metric label: a value out of few, whatever requests contain."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["OTHER", "Bounded", "status_class"]

OTHER = "other"
"""Stands for every value that has no label of its own."""

_WORD = re.compile(r"[a-z0-9_]{1,32}")


class Bounded:
    """Lets some values through and gives `OTHER` for the rest.

    Args:
        known: Let through from the start.
        most: How many more are learned as they come. Only for values that the program itself chooses.
        words: Whether only lower-case words are learned.
    """

    def __init__(self, known: Iterable[str] = (), *, most: int = 0, words: bool = True) -> None:
        self._known = set(known)
        self._left = most
        self._words = words

    def __call__(self, value: str) -> str:
        """The label of a value."""
        if value in self._known:
            return value
        if self._left > 0 and (not self._words or _WORD.fullmatch(value)):
            self._left -= 1
            self._known.add(value)
            return value
        return OTHER

    def extend(self, known: Iterable[str]) -> None:
        """Lets more values through; for what a configuration or the program lists."""
        self._known.update(known)


def status_class(status: int) -> str:
    """``2xx`` for 200; `OTHER` for what is no HTTP status."""
    return f"{status // 100}xx" if 100 <= status <= 599 else OTHER
