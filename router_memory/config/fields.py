"""Reads a model's fields: their kind, bounds and choices. Messages and the documentation test live on it."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["bounds", "choices", "item_section", "kind", "section"]


def kind(annotation: object) -> object:
    """The type without Annotated and None, such as ``int``, ``Literal[…]`` or a model."""
    return _unwrap(annotation)[0]


def section(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that holds a sub-section, else None."""
    found = kind(field.annotation)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def item_section(field: FieldInfo) -> type[BaseModel] | None:
    """The model of each item of a field that holds a list of sub-sections, else None."""
    found = kind(field.annotation)
    if get_origin(found) is not tuple:
        return None
    item = kind(get_args(found)[0])
    return item if isinstance(item, type) and issubclass(item, BaseModel) else None


def choices(field: FieldInfo) -> tuple[str, ...]:
    """The values a field, or each item of its list, may have; empty when they are open."""
    found = kind(field.annotation)
    if get_origin(found) is tuple:
        found = kind(get_args(found)[0])
    return get_args(found) if get_origin(found) is Literal else ()


def bounds(field: FieldInfo) -> tuple[float, float] | None:
    """The least and the greatest value of a number, both included; None for other fields."""
    metadata = [*field.metadata, *_unwrap(field.annotation)[1]]
    low = next((item.ge for item in metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in metadata if isinstance(item, Le)), None)
    if isinstance(low, int | float) and isinstance(high, int | float):
        return low, high
    return None


def _unwrap(annotation: object) -> tuple[object, list[object]]:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        found, deeper = _unwrap(inner)
        flat = [part for item in metadata for part in (item.metadata if isinstance(item, FieldInfo) else [item])]
        return found, [*flat, *deeper]
    if get_origin(annotation) in (Union, UnionType):
        (present,) = [part for part in get_args(annotation) if part is not NoneType]
        return _unwrap(present)
    return annotation, []
