"""Checks the arguments of the library's methods: each gives the value as it is used, or raises `InvalidRequest`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from router_memory.errors import InvalidRequest
from router_memory.pipeline.cleaning import clean
from router_memory.pipeline.messages import MAX_SPEAKER_CHARS
from router_memory.types import CutoffRule, MemoryType, RankingMode, Scope

__all__ = [
    "MAX_LIMIT",
    "check_scope",
    "decision_name",
    "fraction",
    "member",
    "memory_type",
    "moment",
    "moment_or_now",
    "page_limit",
    "speaker_name",
]

_E = TypeVar("_E", RankingMode, CutoffRule, MemoryType)

MAX_LIMIT = 1000
"""Most memories one call returns."""


def moment(value: datetime | None, field: str) -> datetime:
    """A time as aware UTC; now without one. Naive times count as UTC."""
    if value is None:
        return datetime.now(UTC)
    if not isinstance(value, datetime):
        raise InvalidRequest(f"{field} must be a datetime, not {type(value).__name__}", field=field)
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (OverflowError, ValueError):
        raise InvalidRequest(f"{field} is outside the range of dates", field=field) from None


def moment_or_now(value: datetime | None) -> datetime:
    """The same, with now in place of anything that is no time: for calls that raise nothing."""
    try:
        return moment(value, "now")
    except InvalidRequest:
        return datetime.now(UTC)


def check_scope(scope: Scope) -> None:
    """That it is a scope."""
    if not isinstance(scope, Scope):
        raise InvalidRequest(f"scope must be a Scope, not {type(scope).__name__}", field="scope")


def decision_name(value: str | None) -> str | None:
    """A decision's name or none."""
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"decision must be a string, not {type(value).__name__}", field="decision")
    return value


def speaker_name(value: str | None) -> str | None:
    """A speaker's name as it is stored."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_SPEAKER_CHARS:
        raise InvalidRequest(f"speaker must be a string of at most {MAX_SPEAKER_CHARS} characters", field="speaker")
    return clean(value) or None


def member(kind: type[_E], value: str, field: str) -> _E:
    """A member of an enum, by itself or by value."""
    try:
        return kind(value)
    except ValueError:
        valid = ", ".join(each.value for each in kind)
        raise InvalidRequest(f"{field} must be one of {valid}, not {value!r}", field=field) from None


def memory_type(value: MemoryType | str) -> MemoryType:
    """A memory type, by itself or by value."""
    return member(MemoryType, value, "type")


def fraction(value: float, field: str) -> float:
    """A number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(f"{field} must be a number in [0, 1], not {value!r}", field=field)
    return float(value)


def page_limit(value: int) -> int:
    """A number of memories from 1 to `MAX_LIMIT`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LIMIT:
        raise InvalidRequest(f"limit must be a whole number from 1 to {MAX_LIMIT}, not {value!r}", field="limit")
    return value
