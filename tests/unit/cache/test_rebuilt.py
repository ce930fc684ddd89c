"""Dataclasses made from the values of their fields are what their `__init__` makes."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from router_memory.cache.rebuilt import rebuilder
from router_memory.types import Columns, MemoryRecord, Scope
from tests.unit.cache.parts import answer


def test_it_is_equal_to_what_it_was_made_from() -> None:
    """And frozen as that is."""
    record = answer("green tea").records[0]
    made = rebuilder(MemoryRecord)([getattr(record, field.name) for field in fields(MemoryRecord)])
    assert (made, hash(made), type(made)) == (record, hash(record), MemoryRecord)
    with pytest.raises(AttributeError):
        made.content = "x"  # type: ignore[misc]


@pytest.mark.parametrize("count", [0, 11, 13])
def test_every_field_has_a_value(count: int) -> None:
    """Else one would be found missing when it is read."""
    with pytest.raises(ValueError, match="12 fields of Columns"):
        rebuilder(Columns)([None] * count)


def test_what_checks_its_values_is_not_made_without() -> None:
    """Nor is what has no slots."""

    @dataclass(frozen=True)
    class Loose:
        text: str = ""

    for kind in (Scope, Loose):
        with pytest.raises(TypeError, match="cannot be made"):
            rebuilder(kind)
