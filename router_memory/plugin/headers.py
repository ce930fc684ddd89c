"""HTTP headers as frameworks hand them over: any case, strings or bytes, one value or several. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from router_memory.errors import InvalidRequest

__all__ = ["Headers"]

_FALSE = frozenset({"", "false", "0", "no", "off"})
_BLANK = " \t"  # what HTTP allows around a value; any other white space belongs to it


class Headers:
    """Reads headers by name without case.

    Args:
        headers: Name -> value, or pairs of them. Names and values may be strings or bytes, a value also a list.

    Raises:
        InvalidRequest: They are neither.
    """

    def __init__(self, headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        self._raw: dict[str, list[Any]] = {}
        try:
            pairs = [(name, value) for name, value in (headers.items() if isinstance(headers, Mapping) else headers)]
        except (TypeError, ValueError):
            raise InvalidRequest("headers must be a mapping or pairs of name and value", field="headers") from None
        for name, value in pairs:
            key = name.decode("latin-1") if isinstance(name, bytes) else str(name)
            several = value if isinstance(value, list | tuple) else [value]
            self._raw.setdefault(key.casefold(), []).extend(several)

    def values(self, name: str) -> list[str]:
        """The values that are text, trimmed."""
        return [value for value in self._decoded(name) if value is not None]

    def one(self, name: str) -> str | None:
        """The value of a header that identifies somebody; ``None`` without one.

        Raises:
            InvalidRequest: It is not text, or there are two different values: a client may have added one.
        """
        values = set(self._decoded(name))
        if not values:
            return None
        (value, *others) = values
        if others or value is None:
            raise InvalidRequest(f"header {name} is ambiguous or not valid text", field=name)
        return value or None

    def is_set(self, name: str) -> bool:
        """Whether a switch is on. A value nobody can read counts as on: an opt-out must not get lost."""
        return any(
            value is None or any(item.strip().casefold() not in _FALSE for item in value.split(","))
            for value in self._decoded(name)
        )

    def _decoded(self, name: str) -> Iterator[str | None]:
        for value in self._raw.get(name.casefold(), ()):
            yield _text(value)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    return value.strip(_BLANK) if isinstance(value, str) else None
