"""What every process did and when: the material of the checker."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Kind", "Operation", "read", "write"]


class Kind(StrEnum):
    """What was done."""

    ADD = "add"
    UPDATE = "update"
    FORGET = "forget"
    FORGET_SCOPE = "forget_scope"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call, from its beginning to its acknowledgement.

    Attributes:
        process: Who made it.
        kind: What it was.
        user: Whose memories.
        began, ended: On the clock of `time.monotonic`, which all processes of a machine share; `ended` is infinite
            where nothing is known of the end.
        memories: By id, the contents that a search showed or a write stored; of a forget, its ids.
        level: Which level of the cache answered a search.
    """

    process: int
    kind: Kind
    user: str
    began: float
    ended: float = math.inf
    memories: dict[str, str] = field(default_factory=dict)
    level: str = ""


def write(path: Path, operations: Iterable[Operation]) -> None:
    """Operations as lines of JSON; an infinite end stands as null."""
    path.write_bytes(b"".join(orjson.dumps(asdict(operation)) + b"\n" for operation in operations))


def read(path: Path) -> list[Operation]:
    """The same operations again."""
    found = []
    for line in path.read_bytes().splitlines():
        values = orjson.loads(line)
        values["kind"] = Kind(values["kind"])
        values["ended"] = math.inf if values["ended"] is None else values["ended"]
        found.append(Operation(**values))
    return found
