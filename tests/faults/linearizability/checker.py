"""Whether what searches showed could be true.

A search must show every memory whose storing was acknowledged before it began and whose forgetting did not begin before
it ended; none that was forgotten, and no content that was replaced, before it began; and nobody else's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.faults.linearizability.history import Kind, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Violation", "check"]


@dataclass(frozen=True, slots=True)
class Violation:
    """A search that showed what it must not, or lacked what it must show.

    Attributes:
        fault: What is wrong.
        search: The search.
        memory: The id of the memory.
        late: By how many seconds the search came after the write that it does not know of.
    """

    fault: str
    search: Operation
    memory: str
    late: float = 0.0


@dataclass(slots=True)
class _Life:
    """What happened to one memory.

    Attributes:
        user: Whose it is.
        writes: Contents with the operation that wrote them, its storing first.
        gone: Acknowledged operations after which it is gone for certain.
        end_began: When the first one began that may have taken it away.
    """

    user: str
    writes: list[tuple[str, Operation]] = field(default_factory=list)
    gone: list[Operation] = field(default_factory=list)
    end_began: float = math.inf


def check(operations: Iterable[Operation], *, bound: float = 0.0) -> list[Violation]:
    """Everything that cannot be true.

    Args:
        operations: Of all processes, on one clock.
        bound: For how many seconds the writes of other processes may be unknown to a search.
    """
    history = sorted(operations, key=lambda operation: operation.began)
    lives = _lives(history)
    by_user: dict[str, list[str]] = defaultdict(list)
    for name, life in lives.items():
        by_user[life.user].append(name)
    found: list[Violation] = []
    for search in history:
        if search.kind is Kind.SEARCH and search.ended < math.inf:
            found += _missing(search, by_user[search.user], lives, bound)
            for name, content in search.memories.items():
                found += _wrongly_shown(search, name, content, lives, bound)
    return found


def _lives(history: list[Operation]) -> dict[str, _Life]:
    lives: dict[str, _Life] = {}
    for operation in history:
        if operation.kind is Kind.ADD:
            for name, content in operation.memories.items():
                lives.setdefault(name, _Life(operation.user)).writes.append((content, operation))
    for operation in history:
        _lived(lives, operation)
    return lives


def _lived(lives: dict[str, _Life], operation: Operation) -> None:
    """Takes note of what an operation did to memories that were stored."""
    if operation.kind is Kind.UPDATE:
        for name, content in operation.memories.items():
            lives[name].writes.append((content, operation))
    elif operation.kind is Kind.FORGET:
        for name in operation.memories:
            _ends(lives[name], operation, certain=True)
    elif operation.kind is Kind.FORGET_SCOPE:
        for life in lives.values():
            added = life.writes[0][1]
            if life.user == operation.user and added.began < operation.ended:
                _ends(life, operation, certain=added.ended < operation.began)


def _ends(life: _Life, operation: Operation, *, certain: bool) -> None:
    life.end_began = min(life.end_began, operation.began)
    if certain and operation.ended < math.inf:
        life.gone.append(operation)


def _late(write: Operation, search: Operation, bound: float) -> float:
    """By how long the search came after it had to know of a write; negative where it need not."""
    return search.began - write.ended - (0.0 if write.process == search.process else bound)


def _missing(search: Operation, names: list[str], lives: dict[str, _Life], bound: float) -> Iterator[Violation]:
    for name in names:
        if name not in search.memories:
            life = lives[name]
            late = _late(life.writes[0][1], search, bound)
            if late > 0 and life.end_began >= search.ended:
                yield Violation("lacks an acknowledged memory", search, name, late)


def _wrongly_shown(
    search: Operation, name: str, content: str, lives: dict[str, _Life], bound: float
) -> Iterator[Violation]:
    life = lives.get(name)
    if life is None:
        yield Violation("shows a memory that nobody stored", search, name)
        return
    if life.user != search.user:
        yield Violation("shows another user's memory", search, name)
        return
    late = max((_late(forgotten, search, bound) for forgotten in life.gone), default=0.0)
    if late > 0:
        yield Violation("shows a forgotten memory", search, name, late)
    written = [operation for text, operation in life.writes if text == content]
    if not written or min(operation.began for operation in written) > search.ended:
        yield Violation("shows a content that nobody has written", search, name)
        return
    settled = max(operation.ended for operation in written)
    replaced = (operation for text, operation in life.writes if text != content and operation.began > settled)
    late = max((_late(operation, search, bound) for operation in replaced), default=0.0)
    if late > 0:
        yield Violation("shows replaced content", search, name, late)
