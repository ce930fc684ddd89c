"""Expands ``${NAME}`` and ``${NAME:-default}`` in the strings of our own sections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

from router_memory.config.problems import Problems

__all__ = ["Expanded", "expand"]

# `$${` is the escape; `${` without a closing brace matches too, so that it is reported.
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)


class Expanded(str):
    """A string that the environment had a part in.

    Such a string, unlike one written in the file, may stand where a number or a boolean is wanted.

    Attributes:
        source: The text as written, e.g. ``${PORT:-6379}``; this may be shown, the value may not.
    """

    __slots__ = ("source",)
    source: str

    def __new__(cls, text: str, source: str) -> Self:
        """Makes the string `text`, which was written as `source`."""
        made = super().__new__(cls, text)
        made.source = source
        return made


def expand(value: object, key_path: str, environ: Mapping[str, str], problems: Problems) -> object:
    """A copy of `value` with every string expanded; mappings become dicts, sequences lists.

    As in a shell, the default counts when the variable is unset or empty. What a variable holds is not
    expanded again. An unset variable, a malformed reference or a key that is no string is added to `problems`.
    """
    if isinstance(value, str):
        return _expand_text(value, key_path, environ, problems)
    if isinstance(value, Mapping):
        return {
            key: expand(item, f"{key_path}.{key}", environ, problems)
            for key, item in value.items()
            if _is_text(key, key_path, problems)
        }
    if isinstance(value, list | tuple):
        return [expand(item, f"{key_path}[{index}]", environ, problems) for index, item in enumerate(value)]
    return value


def _is_text(key: object, key_path: str, problems: Problems) -> bool:
    if isinstance(key, str):
        return True
    problems.add(key_path, f"the key {key!r} is not a string", "YAML reads on, off, yes, no and numbers as values")
    return False


def _expand_text(text: str, key_path: str, environ: Mapping[str, str], problems: Problems) -> str:
    used = False

    def put(match: re.Match[str]) -> str:
        nonlocal used
        inside = match["inside"]
        if inside is None:
            return "${"
        used = True
        reference = _INSIDE.fullmatch(inside) if match["end"] else None
        if reference is None:
            problems.add(key_path, "a ${…} here is not ${NAME} or ${NAME:-default}", "write $${ for a plain ${")
            return ""
        return _value_of(reference["name"], reference["default"], key_path, environ, problems)

    expanded = _REFERENCE.sub(put, text)
    return Expanded(expanded, text) if used else expanded


def _value_of(name: str, default: str | None, key_path: str, environ: Mapping[str, str], problems: Problems) -> str:
    value = environ.get(name)
    if default is not None:
        return value or default.removeprefix(":-")
    if value is None:
        problems.add(
            key_path, f"the environment variable {name} is not set", f"set it, or write ${{{name}:-a default}}"
        )
        return ""
    return value
