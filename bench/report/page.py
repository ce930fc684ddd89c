"""A page whose generated blocks stand between marks: ``<!-- bench:service -->`` … ``<!-- /bench -->``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

__all__ = ["UnknownBlock", "blocks", "differing", "filled"]

_BLOCK = re.compile(r"^<!-- bench:(?P<name>[^\n]+?) -->\n(?P<text>.*?)^<!-- /bench -->$", re.DOTALL | re.MULTILINE)
_MARK = re.compile(r"^<!-- (?:bench:[^\n]+?|/bench) -->$", re.MULTILINE)


class UnknownBlock(Exception):
    """A mark names no block, or stands without its other half."""


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Name and text of each block.

    Raises:
        UnknownBlock: A mark stands alone.
    """
    found = list(_BLOCK.finditer(page))
    if len(_MARK.findall(page)) != 2 * len(found) or any(_MARK.search(one["text"]) for one in found):
        raise UnknownBlock("a mark stands alone: each <!-- bench:NAME --> needs its <!-- /bench -->")
    return ((one["name"], one["text"]) for one in found)


def filled(page: str, made: Callable[[str], str]) -> str:
    """The page with each block's text made anew, with an empty line above and below; all other text stays.

    Raises:
        UnknownBlock: A mark stands alone, or `made` knows no such name.
    """
    for _ in blocks(page):
        pass
    return _BLOCK.sub(
        lambda one: f"<!-- bench:{one['name']} -->\n\n{made(one['name']).strip()}\n\n<!-- /bench -->", page
    )


def differing(page: str, made: Callable[[str], str]) -> list[str]:
    """Names of the blocks that are not what would be made."""
    return [name for name, text in blocks(page) if text.strip() != made(name).strip()]
