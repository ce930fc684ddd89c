"""What is wrong with a body or a parameter, in words of this API. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["problem_of"]

_PLACE_CHARS = 200
_SHARE = "must be a number from 0 to 1"
_OF_FIELD: Mapping[str, str] = {
    "headers": "must be a JSON object or a list of pairs",
    "importance": _SHARE,
    "threshold": _SHARE,
}
"""Fields whose every mistake is told by all that is right."""

_OF_KIND: Mapping[str, str] = {
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "extra_forbidden": "there is no such field",
    "float_type": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be text",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
}
"""By pydantic's kind of error; the values in braces are those it gives along."""

_TIME = "datetime_"
_ENUM = "enum"
_MISSING = "missing"
_UNKNOWN = "extra_forbidden"
_OWN = "value_error"
_CHOICE = re.compile(r"'([^']*)'")
_ONE = re.compile(r"\b1 (characters|entries)")
_ONES = {"characters": "1 character", "entries": "1 entry"}


def problem_of(problem: Mapping[str, Any], where: Sequence[str | int]) -> str:
    """One sentence about an error of pydantic; it holds no value of the request.

    Args:
        problem: One of its `errors()`.
        where: The place in the body, or the parameter; empty for the whole body.
    """
    known = next((index for index, part in enumerate(where) if part in _OF_FIELD), None)
    place = ".".join(str(part) for part in (where if known is None else where[: known + 1]))[:_PLACE_CHARS]
    kind = str(problem["type"])
    if not place:
        kind = "model_type" if kind == _MISSING else kind  # no body at all
        place = "the body"
    if kind in (_UNKNOWN, _OWN):
        said = _OF_KIND[kind] if kind == _UNKNOWN else str(problem["msg"]).removeprefix("Value error, ")
        return f"{place}: {said[:1].lower()}{said[1:]}"
    if known is not None:
        return f"{place} {_OF_FIELD[str(where[known])]}"
    return f"{place} {_said(kind, problem)}"


def _said(kind: str, problem: Mapping[str, Any]) -> str:
    values: Mapping[str, Any] = problem.get("ctx") or {}
    if kind == _ENUM:
        return f"must be one of {', '.join(_CHOICE.findall(str(values.get('expected', ''))))}"
    if kind.startswith(_TIME):
        return "must be a time in ISO 8601"
    if kind in _OF_KIND:
        return _ONE.sub(lambda found: _ONES[found[1]], _OF_KIND[kind].format_map(values))
    return f"is wrong: {problem['msg']}"
