"""What a value of the shared cache is found by: a digest of everything it depends on besides the data."""

from __future__ import annotations

import json
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from router_memory.types import Columns, LexicalStatistics, MemoryRecord, Scope, SearchQuery, precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.protocols import Embedder

__all__ = ["KEY_BYTES", "VERSION", "Key", "key_of", "query_key", "vector_key", "vectors_of"]

KEY_BYTES = 32
VERSION = 2
"""Of what is kept, and of how it is derived: raise it with the form of values, and when stems or columns come out
otherwise, so that releases that run side by side do not read each other's values."""

Key: TypeAlias = tuple[object, ...]
"""Every field of a question as it is, the user's id first: unlike a dataclass a tuple is hashed without Python code."""

_FORMS = frozenset({"str", "str | None", "bool", "int", "frozenset[MemoryType]"})
"""Types of fields that have a form in JSON in which no two values are alike."""


def _names(kind: type[Any], *, beside: str = "") -> list[str]:
    """The names of a dataclass's fields, beside one.

    Raises:
        TypeError: One is of a type that has no form in a key: think of one before it is added.
    """
    chosen = [field for field in fields(kind) if field.name != beside]
    for field in chosen:
        if field.type not in _FORMS:
            raise TypeError(f"the field {field.name} of type {field.type} has no form in a key")
    return [field.name for field in chosen]


_OF_SCOPE = [f"scope.{name}" for name in _names(Scope)]  # the user's id is the first
_REST = _names(SearchQuery, beside="scope")
key_of: Callable[[SearchQuery], Key] = attrgetter(*_OF_SCOPE, *_REST)
"""What a question is told from others by, in this process."""


def _layout(*kinds: type[Any]) -> str:
    """Which fields dataclasses have, in their order: 16 hex digits."""
    names = [[(field.name, str(field.type)) for field in fields(kind)] for kind in kinds]
    return blake2b(repr(names).encode(), digest_size=8, person=b"layout").hexdigest()


_LAYOUT = _layout(Scope, SearchQuery, MemoryRecord, Columns, LexicalStatistics)
"""Part of every question's key, which holds values without their names. Records are read long after a value was
accepted; a release in which they or a question have other fields finds nothing, even if it forgets `VERSION`."""


def vectors_of(embedder: Embedder) -> str:
    """What an identified embedder's vectors are: its fingerprint, and the precision of its runtime.

    Not the runtime itself: those of one precision give the same vectors, so processes that run either share what they
    keep, and one that has to fall back finds again what it kept before.
    """
    return f"{embedder.fingerprint}/{precision(embedder.runtime)}"


def query_key(query: SearchQuery, fingerprint: str) -> bytes:
    """256 bits over every field of a question, what the vectors are, and the layout of what is kept.

    Args:
        query: What was asked.
        fingerprint: What the vectors are, see `vectors_of`.
    """
    return _digest(b"query", [VERSION, _LAYOUT, fingerprint, key_of(query)])


def vector_key(text: str, fingerprint: str) -> bytes:
    """256 bits over a text to embed and what its vector is, see `vectors_of`."""
    return _digest(b"vector", [fingerprint, text])


def _plain(value: object) -> object:
    """What JSON has no form for, different for different values."""
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    raise TypeError(f"a field of {type(value).__name__} has no form in a key")


def _digest(kind: bytes, value: object) -> bytes:
    """Of the value as JSON, in which no two values are alike."""
    try:
        raw = orjson.dumps(value, default=_plain)
    except orjson.JSONEncodeError:  # a lone surrogate, which the standard library escapes
        raw = json.dumps(value, default=_plain).encode()
    return blake2b(raw, digest_size=KEY_BYTES, person=kind).digest()
