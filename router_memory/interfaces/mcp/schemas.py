"""JSON schemas of arguments and results, in the plain form that models and clients read best. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

__all__ = ["schema_of"]


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model, without references, titles, docstrings, and ``null`` as a choice.

    What may be left out may also be ``null``; saying so would only make the schema harder to read.
    """
    schema = model.model_json_schema()
    return _plain(_bare(schema), schema.pop("$defs", {}))  # type: ignore[no-any-return]


def _bare(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Without the docstring of the model, which is for readers of the code."""
    return {key: value for key, value in schema.items() if key not in ("description", "$defs")}


def _plain(value: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_plain(item, parts) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _plain(_bare(parts[value["$ref"].rpartition("/")[2]]), parts)
    found = {key: item for key, item in value.items() if key != "title" or not isinstance(item, str)}
    choices = [each for each in found.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        del found["anyOf"]
        found = choices[0] | found
    elif choices:
        found["anyOf"] = choices
    if found.get("default", "") is None:
        del found["default"]
    return {key: _plain(item, parts) for key, item in found.items()}
