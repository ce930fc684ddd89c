"""The base of every section of ours: frozen, strict about types, closed to unknown keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from router_memory.config.env import Expanded
from router_memory.config.fields import kind, section

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

__all__ = [
    "Count",
    "Limit",
    "Section",
    "Share",
    "check_header_secret",
    "check_one_source",
    "check_path",
    "is_header_secret",
    "problem",
]

Share = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[int, Field(ge=1, le=1000)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_IN_A_HEADER = re.compile(r"[!-~]+")
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}  # as YAML reads them


def problem(message: str, *, hint: str = "", key: str = "") -> PydanticCustomError:
    """An error for a validator to raise.

    Args:
        message: What is wrong, without the value when that could be a secret.
        hint: What to do about it.
        key: The key that is wrong, below the section or field that is being validated, e.g. ``[2]`` or ``.port``.
    """
    return PydanticCustomError("problem", "{message}", {"message": message, "hint": hint, "key": key})


def check_path(path: str) -> None:
    """Refuses what no file system takes as a path."""
    if "\0" in path:
        raise problem("a path cannot hold a zero character")


def is_header_secret(secret: SecretStr) -> bool:
    """Whether a secret can be sent in a header as it is: printable ASCII without blanks."""
    return _IN_A_HEADER.fullmatch(secret.get_secret_value()) is not None


def check_header_secret(secret: SecretStr) -> None:
    """Refuses a secret that cannot be sent in a header as it is; an empty one is none."""
    if secret.get_secret_value() and not is_header_secret(secret):
        raise problem("must be printable ASCII without blanks, for it is sent in a header")


def check_one_source(owner: BaseModel, key: str) -> None:
    """Refuses a secret that stands in the configuration and in a file of its own, ``<key>_file``."""
    if getattr(owner, key).get_secret_value() and getattr(owner, f"{key}_file"):
        raise problem(f"{key} and {key}_file are both set", hint="keep one", key=f".{key}_file")


class Section(BaseModel):
    """A section of the configuration.

    A number is not taken from a string, nor an integer from a boolean or a float; what came from an
    ``${ENV}`` reference is read as if it stood in the file. A key without a value is the empty section,
    list or string where that exists, else an error.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        if value is None:
            return _empty(field)
        wanted = kind(field.annotation)
        if get_origin(wanted) is tuple:
            return _items(value, get_args(wanted)[0])
        return _from_environment(value, wanted)


def _empty(field: FieldInfo) -> object:
    if section(field):
        return {}
    default = field.get_default()
    if default in ("", ()):
        return default
    if isinstance(default, SecretStr):
        return ""
    raise problem("has no value", hint="give it one or remove the key")


def _items(value: object, wanted: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(_from_environment(item, wanted) for item in value)
    return value


def _from_environment(value: object, wanted: object) -> object:
    """Reads what the environment gave; what cannot be read stays a string, which strict validation refuses."""
    read = _READERS.get(wanted) if isinstance(value, Expanded) else None
    found = read(str(value)) if read else None
    return value if found is None else found


def _int(text: str) -> int | None:
    return int(text) if _WHOLE_NUMBER.fullmatch(text.strip()) else None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _bool(text: str) -> bool | None:
    return _WORDS.get(text.strip().lower())


_READERS: dict[object, Callable[[str], object]] = {int: _int, float: _float, bool: _bool, str: str, SecretStr: str}
