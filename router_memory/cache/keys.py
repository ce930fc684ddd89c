"""What a value of the shared cache is found by: a digest of everything it depends on besides the data."""

from __future__ import annotations

import json
from dataclasses import fields
from hashlib import blake2b

import orjson

from router_memory.types import Scope, SearchQuery

__all__ = ["KEY_BYTES", "VERSION", "query_key", "vector_key"]

KEY_BYTES = 32
VERSION = 1
"""Of what is kept, and of how it is derived: raise it with the form of values, and when stems or columns come out
otherwise, so that releases that run side by side do not read each other's values."""
_NAMES = tuple(field.name for field in fields(SearchQuery))


def query_key(query: SearchQuery, fingerprint: str) -> bytes:
    """256 bits over every field of a question and what the vectors are.

    Args:
        query: What was asked.
        fingerprint: Of the embedder, with whatever else of it changes vectors.
    """
    return _digest(b"query", [VERSION, fingerprint, [(name, _plain(getattr(query, name))) for name in _NAMES]])


def vector_key(text: str, fingerprint: str) -> bytes:
    """256 bits over a text to embed and what embeds it."""
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
