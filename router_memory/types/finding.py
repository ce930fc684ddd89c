"""What an examination of a store finds: for operators, one line each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

__all__ = ["REACHABLE", "CheckStatus", "Finding", "several", "size_text"]

REACHABLE = "reachable"
"""Name of the finding that says whether the store answers at all. Where it fails nothing else can be told."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_NOTHING: Mapping[str, object] = MappingProxyType({})


class CheckStatus(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should know or act before it does not."""
    FAIL = "fail"
    """Requests go without memory, or writes are refused or lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at, in few words, e.g. ``persistence``. Unique in an examination.
        status: How bad it is.
        finding: What was found, in one sentence without a full stop. Never holds a secret, a user id or content.
        advice: What to do about it; empty when there is nothing to do.
        data: The numbers behind it, JSON-compatible; sizes in bytes, times in seconds.
    """

    name: str
    status: CheckStatus
    finding: str
    advice: str = ""
    data: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


def size_text(count: float) -> str:
    """A number of bytes in the largest unit it fills, such as ``1.5 MiB``."""
    size = float(count)
    for unit in _UNITS[:-1]:
        if size < _STEP:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= _STEP
    return f"{size:,.1f} {_UNITS[-1]}"


def several(count: int, one: str, more: str) -> str:
    """A number with the word for one or for more, such as ``1,200 users``."""
    return f"{count:,} {one if count == 1 else more}"
