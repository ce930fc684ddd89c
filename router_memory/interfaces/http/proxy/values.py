"""Reads single values out of a body, and changes a body in places. Pure, but for the pauses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import orjson

from router_memory.interfaces.http.proxy.scan import Layout, Span, Unreadable, scan

__all__ = ["Edit", "edited", "laid_out", "read_object", "read_objects", "read_text", "read_value", "written"]

Edit = tuple[int, int, bytes]
"""What stands between start and end is replaced."""

MOST_COMMAS = 300_000
"""In one large message: more of them are a table of numbers, which takes long to read and says nothing to memory."""

_LARGE = 262_144
_PYTHON_LIMIT = 1_048_576
"""Longest value that is read by Python's own parser, the one that takes lone surrogates."""


async def laid_out(body: bytes, wanted: frozenset[str]) -> Layout | None:
    """Where the members wanted lie; others get their turn while a large body is read.

    Returns:
        ``None`` for a body that is no JSON object, or one of too many parts.
    """
    layout = Layout()
    try:
        for _ in scan(body, wanted, layout):
            await asyncio.sleep(0)
    except Unreadable:
        return None
    return layout


async def read_objects(body: bytes, spans: Sequence[Span]) -> list[dict[str, Any]] | None:
    """The objects at these places; ``None`` where one of them is none, or cannot be read."""
    found, done = [], 0
    for start, end in spans:
        value = read_object(body, (start, end))
        if value is None:
            return None
        found.append(value)
        done += end - start
        if done > _LARGE:
            done = 0
            await asyncio.sleep(0)
    return found


def read_object(body: bytes, span: Span) -> dict[str, Any] | None:
    """The object at this place; ``None`` where there is none, or one that cannot be read."""
    start, end = span
    if end - start > _LARGE and body.count(b",", start, end) > MOST_COMMAS:
        return None
    value = read_value(body[start:end])
    return value if isinstance(value, dict) else None


def read_text(body: bytes, span: Span | None) -> str | None:
    """The string at this place; ``None`` where there is none."""
    if span is None or body[span[0]] != ord('"'):
        return None
    value = read_value(body[span[0] : span[1]])
    return value if isinstance(value, str) else None


def written(value: object) -> bytes:
    """The value as JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a lone surrogate
        return json.dumps(value).encode()


def edited(body: bytes, edits: Sequence[Edit]) -> list[bytes]:
    """The body with these changes, in pieces that add up to it."""
    pieces, position = [], 0
    for start, end, replacement in sorted(edits, key=lambda edit: edit[:2]):
        pieces += [body[position:start], replacement]
        position = end
    pieces.append(body[position:])
    return [piece for piece in pieces if piece]


def read_value(raw: bytes) -> Any:
    """The JSON value; ``None`` also where it cannot be read."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        if len(raw) > _PYTHON_LIMIT:
            return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None
