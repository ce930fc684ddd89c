"""How much there is in a JSON text, before anybody makes objects of it. Pure.

A few million empty lists or unknown fields fit into a body that is allowed. Reading them takes a worker gigabytes and
tens of seconds, in which it answers nobody. No request of these interfaces has a use for them.
"""

from __future__ import annotations

__all__ = ["MOST_VALUES", "is_too_broad"]

MOST_VALUES = 50_000
"""Most values in one text: ten thousand chat messages are fewer."""


def is_too_broad(text: bytes, *, most: int = MOST_VALUES) -> bool:
    """Whether a JSON text holds more values than that, or is none that could be counted.

    Args:
        text: In UTF-8. A long one in UTF-16 or UTF-32, which parsers take too, counts as too broad.
        most: Lists, objects and what is in them, field names not counted.
    """
    if len(text) <= most:  # each takes a byte at least
        return False
    if b"\0" in text:
        return True
    if _marks(text) <= most:
        return False
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # so that every quote begins a string or ends one
    if plain.count(b'"') > 4 * most:  # a name and a text for each value
        return True
    return _marks(b"".join(plain.split(b'"')[::2])) > most


def _marks(text: bytes) -> int:
    """Each value but the first has a comma or a bracket before it."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")
