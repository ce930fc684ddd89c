"""What a value of the shared cache is found by: a digest of everything it depends on besides the data."""

from __future__ import annotations

import json
from dataclasses import fields
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from router_memory.types import Scope, SearchQuery, precision

if TYPE_CHECKING:
    from router_memory.protocols import Embedder

__all__ = ["KEY_BYTES", "VERSION", "query_key", "vector_key", "vectors_of"]

KEY_BYTES = 32
VERSION = 2
"""Of what is kept, and of how it is derived: raise it with the form of values, and when stems or columns come out
otherwise, so that releases that run side by side do not read each other's values."""
_NAMES = tuple(field.name for field in fields(SearchQuery))


def vectors_of(embedder: Embedder) -> str:
    """What an identified embedder's vectors are: its fingerprint, and the precision of its runtime.

    Not the runtime itself: those of one precision give the same vectors, so processes that run either share what they
    keep, and one that has to fall back finds again what it kept before.
    """
    return f"{embedder.fingerprint}/{precision(embedder.runtime)}"


def query_key(query: SearchQuery, fingerprint: str) -> bytes:
    """256 bits over every field of a question and what the vectors are.

    Args:
        query: What was asked.
        fingerprint: What the vectors are, see `vectors_of`.
    """
    return _digest(b"query", [VERSION, fingerprint, [(name, _plain(getattr(query, name))) for name in _NAMES]])


def vector_key(text: str, fingerprint: str) -> bytes:
    """256 bits over a text to embed and what its vector is, see `vectors_of`."""
    return _digest(b"vector", [fingerprint, text])


def _plain(value: object) -> object:
    """A field's value as JSON has it, different for different values."""
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, Scope):
        return value.user_id, value.project
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    raise TypeError(f"a field of {type(value).__name__} has no form in a key")


def _digest(kind: bytes, value: object) -> bytes:
    """Of the value as JSON, in which no two values are alike."""
    try:
        raw = orjson.dumps(value)
    except orjson.JSONEncodeError:  # a lone surrogate, which the standard library escapes
        raw = json.dumps(value).encode()
    return blake2b(raw, digest_size=KEY_BYTES, person=kind).digest()
