"""What a value of the shared cache is found by: a digest of everything it depends on besides the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from hashlib import blake2b

from router_memory.types import Scope, SearchQuery

__all__ = ["KEY_BYTES", "query_key", "vector_key"]

KEY_BYTES = 32
_NAMES = tuple(field.name for field in fields(SearchQuery))


def query_key(query: SearchQuery, fingerprint: str) -> bytes:
    """256 bits over every field of a question and what the vectors are.

    Args:
        query: What was asked.
        fingerprint: Of the embedder, with whatever else of it changes vectors.
    """
    parts = [fingerprint]
    for name in _NAMES:
        parts += [name, *_texts(getattr(query, name))]
    return _digest(b"query", parts)


def vector_key(text: str, fingerprint: str) -> bytes:
    """256 bits over a text to embed and what embeds it."""
    return _digest(b"vector", [fingerprint, text])


def _texts(value: object) -> Iterator[str]:
    """A field's value as texts, different for different values."""
    if isinstance(value, Scope):
        yield value.user_id
        yield "" if value.project is None else f"={value.project}"
    elif isinstance(value, frozenset):
        yield str(len(value))
        yield from sorted(map(str, value))
    elif isinstance(value, (str, int)):
        yield str(value)
    else:
        raise TypeError(f"a field of {type(value).__name__} has no form in a key")


def _digest(kind: bytes, parts: list[str]) -> bytes:
    """Lengths stand before the texts, so that no two lists are alike when joined."""
    raw = [part.encode("utf-8", "surrogatepass") for part in parts]
    state = blake2b(digest_size=KEY_BYTES, person=kind)
    state.update(b",".join(str(len(part)).encode() for part in raw))
    state.update(b";")
    state.update(b"".join(raw))
    return state.digest()
