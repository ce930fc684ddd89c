"""What was read of an import and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from router_memory.types import Restored

__all__ = ["MOST_LISTED", "Tally"]

MOST_LISTED = 1_000
"""Refused lines that are told one by one."""

_MOST_NAMES = 50


@dataclass(slots=True)
class Tally:
    """Counts an import.

    Attributes:
        lines: Lines that are not blank.
        memories: Those that hold a memory.
        stored, merged: What became of them; merged ones were there already.
        refused: Lines that hold none, or one that may not be imported.
        refusals: Number and reason of the first `MOST_LISTED` of them.
        unknown: Fields nobody knows, and in how many lines they were; the first 50 names.
    """

    lines: int = 0
    memories: int = 0
    stored: int = 0
    merged: int = 0
    refused: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def refuse(self, number: int, reason: str) -> None:
        """A line is refused."""
        self.refused += 1
        if len(self.refusals) < MOST_LISTED:
            self.refusals.append({"line": number, "reason": reason})

    def take(self, unknown: Sequence[str]) -> None:
        """A line holds a memory, and fields of these names that mean nothing here."""
        self.memories += 1
        self.unknown.update(name for name in unknown if name in self.unknown or len(self.unknown) < _MOST_NAMES)

    def done(self, restored: Restored) -> None:
        """A batch was stored."""
        self.stored += restored.stored
        self.merged += restored.merged

    def described(self) -> dict[str, Any]:
        """JSON-compatible."""
        return {
            "lines": self.lines,
            "memories": self.memories,
            "stored": self.stored,
            "merged": self.merged,
            "refused": self.refused,
            "refusals": self.refusals,
            "unknown_fields": dict(self.unknown),
        }
