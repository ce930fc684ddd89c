"""The checker finds what cannot be true, and lets pass what can."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.faults.linearizability.checker import check
from tests.faults.linearizability.history import Kind, Operation, read, write

if TYPE_CHECKING:
    from pathlib import Path


def op(kind: Kind, began: float, ended: float, memories: dict[str, str], *, process: int = 0) -> Operation:
    return Operation(process, kind, "ana", began, ended, memories)


ADDED = op(Kind.ADD, 1, 2, {"m": "first"})
FORGOTTEN = op(Kind.FORGET, 5, 6, {"m": ""})
CLEARED = op(Kind.FORGET_SCOPE, 5, 6, {})
UPDATED = op(Kind.UPDATE, 5, 6, {"m": "second"})
NOTHING: dict[str, str] = {}
FIRST, SECOND = {"m": "first"}, {"m": "second"}


def search(began: float, ended: float, shown: dict[str, str], *, process: int = 0) -> Operation:
    return op(Kind.SEARCH, began, ended, shown, process=process)


@pytest.mark.parametrize(
    ("history", "fault"),
    [
        ([ADDED, search(2.1, 3, NOTHING)], "lacks an acknowledged memory"),
        ([ADDED, FORGOTTEN, search(3, 4.9, NOTHING)], "lacks an acknowledged memory"),
        ([ADDED, FORGOTTEN, search(6.1, 7, FIRST)], "shows a forgotten memory"),
        ([ADDED, CLEARED, search(6.1, 7, FIRST)], "shows a forgotten memory"),
        ([ADDED, UPDATED, search(6.1, 7, FIRST)], "shows replaced content"),
        ([ADDED, UPDATED, search(3, 4, SECOND)], "shows a content that nobody has written"),
        ([search(3, 4, FIRST)], "shows a memory that nobody stored"),
        ([Operation(0, Kind.ADD, "ben", 1, 2, FIRST), search(3, 4, FIRST)], "shows another user's memory"),
    ],
)
def test_what_cannot_be_is_found(history: list[Operation], fault: str) -> None:
    assert [violation.fault for violation in check(history)] == [fault]


@pytest.mark.parametrize(
    "history",
    [
        [ADDED, search(1.5, 3, NOTHING)],
        [ADDED, search(1.5, 3, FIRST)],
        [ADDED, search(3, 4, FIRST)],
        [ADDED, FORGOTTEN, search(5.5, 7, FIRST)],
        [ADDED, FORGOTTEN, search(4, 5.5, NOTHING)],
        [ADDED, FORGOTTEN, search(6.1, 7, NOTHING)],
        [op(Kind.ADD, 1, math.inf, FIRST), search(3, 4, FIRST), search(3, 4, NOTHING)],
        [ADDED, op(Kind.FORGET, 5, math.inf, {"m": ""}), search(9, 10, FIRST), search(9, 10, NOTHING)],
        [ADDED, UPDATED, search(5.5, 7, FIRST), search(5.5, 7, SECOND), search(7, 8, SECOND)],
        [ADDED, UPDATED, op(Kind.UPDATE, 5, 7, {"m": "third"}), search(8, 9, SECOND)],
        [op(Kind.ADD, 1, 5.5, FIRST), CLEARED, search(7, 8, FIRST), search(7, 8, NOTHING)],
    ],
)
def test_what_can_be_passes(history: list[Operation]) -> None:
    assert check(history) == []


def test_a_bound_excuses_other_processes_alone() -> None:
    assert check([ADDED, search(2.1, 3, NOTHING, process=1)], bound=0.5) == []
    assert check([ADDED, search(2.6, 3, NOTHING, process=1)], bound=0.5)
    assert check([ADDED, search(2.1, 3, NOTHING)], bound=0.5)


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = [ADDED, search(3, 4, FIRST), op(Kind.FORGET, 5, math.inf, {"m": ""})]
    write(tmp_path / "history", history)
    assert read(tmp_path / "history") == history
