"""Runs the models and says in an operator's words what they refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from router_memory.config.env import Expanded
from router_memory.config.fields import bounds, choices, item_section, kind, section
from router_memory.config.model import MemorySection
from router_memory.config.nearest import did_you_mean, nearest
from router_memory.config.own import MEMORY_PATH
from router_memory.config.problems import Problems
from router_memory.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = ["validate"]

SectionT = TypeVar("SectionT", bound=Section)

_WANTED = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
}
_LONGEST_SHOWN = 40
_PLAIN = re.compile(r"[-+]?[0-9.]+|true|false|yes|no|on|off", re.IGNORECASE)  # would be read without its quotes
_CLEARLY_NEAR = 0.75  # from here on a neighbour is likelier than a key of the same name in another section


def validate(model: type[SectionT], value: object, key_path: str, problems: Problems) -> SectionT:
    """The section that `value` describes, or the defaults after adding to `problems` what is wrong with it.

    Args:
        model: What the section must look like.
        value: What the file has; None is the empty section.
        key_path: Where `value` stands.
        problems: Takes what is wrong.
    """
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as error:
        # Unknown keys first: a misspelt key often is why another value is wrong.
        for detail in sorted(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden"):
            problems.add(*_explain(detail, model, key_path))
        return model()


def _explain(detail: ErrorDetails, model: type[BaseModel], key_path: str) -> tuple[str, str, str]:
    """Key path, message and hint."""
    location = detail["loc"]
    path = key_path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    owner, field = _field_at(model, location)
    if detail["type"] == "problem":
        context = detail["ctx"]
        return path + context["key"], context["message"], context["hint"]
    if detail["type"] == "extra_forbidden":
        return path, "unknown key", _key_hint(str(location[-1]), owner)
    shown = _shown(detail["input"], field)
    if detail["type"] == "literal_error" and field is not None:
        return path, f"unknown value: {shown}", did_you_mean(str(detail["input"]), choices(field))
    wanted = _WANTED.get(detail["type"]) or _range(field) or detail["msg"]
    return path, f"{wanted}, not {shown}", _type_hint(detail)


def _field_at(model: type[BaseModel], location: Sequence[str | int]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The field a location leads to, and the model that holds it."""
    owner = model
    field: FieldInfo | None = None
    for part in location:
        if isinstance(part, int):
            continue
        deeper = (section(field) or item_section(field)) if field is not None else None
        owner = deeper or owner
        field = owner.model_fields.get(part)
    return owner, field


def _key_hint(key: str, owner: type[BaseModel]) -> str:
    match = nearest(key, owner.model_fields, least=_CLEARLY_NEAR)
    if match is not None:
        return f"did you mean {match!r}?"
    elsewhere = [path for path, name in _every_key(MemorySection, MEMORY_PATH) if name == key]
    return f"did you mean {elsewhere[0]}?" if elsewhere else did_you_mean(key, owner.model_fields)


def _every_key(model: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        yield f"{path}.{name}", name
        inner = section(field)
        if inner is not None:
            yield from _every_key(inner, f"{path}.{name}")


def _range(field: FieldInfo | None) -> str:
    found = bounds(field) if field is not None else None
    return f"must be from {found[0]:g} to {found[1]:g}" if found else ""


def _shown(value: object, field: FieldInfo | None) -> str:
    """The value as the file has it; never a secret, nor what the environment gave."""
    if field is not None and kind(field.annotation) is SecretStr:
        return "the value here (not shown)"
    if isinstance(value, Expanded):
        return f"what {value.source} gives"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        text = repr(value)
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else "this value"


def _type_hint(detail: ErrorDetails) -> str:
    value = detail["input"]
    if detail["type"] == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes"
    numeric = detail["type"] in ("int_type", "float_type", "bool_type")
    return "remove the quotes" if numeric and type(value) is str and _PLAIN.fullmatch(value) else ""
