"""The scripts that write. Each does one step that must not be seen half done, and is short."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["script"]

_FOLDER = Path(__file__).parent
_WITH_STATISTICS = frozenset({"add", "forget", "update"})


@cache
def script(name: str) -> str:
    """The text of a script, with what it builds upon in front of it."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    if name not in _WITH_STATISTICS:
        return text
    return (_FOLDER / "statistics.lua").read_text(encoding="utf-8") + text
