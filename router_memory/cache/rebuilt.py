"""Frozen dataclasses made from values that were taken out of one before, for a fraction of what `__init__` costs.

A frozen dataclass sets each of its fields through `object.__setattr__`, which looks the name up and asks what it is.
Here the slots are known and set directly.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["rebuilder"]

_T = TypeVar("_T")


def rebuilder(kind: type[_T]) -> Callable[[Sequence[Any]], _T]:
    """What makes one of a slotted dataclass from the values of all its fields, in their order.

    It raises `ValueError` where there are more or fewer values than fields. Nothing else is checked: it is for values
    that one of these has had.

    Args:
        kind: The dataclass.

    Raises:
        TypeError: Its making does more than to set fields, or they are not in slots.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # a dataclass, or this raises TypeError
    slots = [getattr(kind, name, None) for name in names]
    if hasattr(kind, "__post_init__") or not all(type(slot).__name__ == "member_descriptor" for slot in slots):
        raise TypeError(f"{kind.__name__} cannot be made from the values of its fields alone")
    setters = tuple(slot.__set__ for slot in slots if slot is not None)
    count, new = len(setters), object.__new__

    def rebuilt(values: Sequence[Any]) -> _T:
        if len(values) != count:
            raise ValueError(f"{len(values)} values for the {count} fields of {kind.__name__}")
        made = new(kind)
        for setter, value in zip(setters, values):  # noqa: B905 - counted above; to be strict costs half as much again
            setter(made, value)
        return made

    return rebuilt
