"""Outcomes and policies as JSON-compatible objects, for logs, APIs and the command line. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from router_memory.types import Hit, Recollection

__all__ = ["describe"]

_DERIVED: Mapping[type, tuple[str, ...]] = {Hit: ("shares",), Recollection: ("misses",)}


def describe(value: object) -> Any:
    """The value with dataclasses as objects, enums by value, times in ISO 8601, patterns by source, NaN as ``None``.

    A hit also has its `shares`, and a recollection its `misses`, which are no fields. Fields that no `repr` shows mean
    nothing outside the process and are left out.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value == value else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, re.Pattern):
        return value.pattern
    if is_dataclass(value):
        names = [*(field.name for field in fields(value) if field.repr), *_DERIVED.get(type(value), ())]
        return {name: describe(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    return _sequence(value)


def _sequence(value: object) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(describe(item) for item in value)
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return str(value)
