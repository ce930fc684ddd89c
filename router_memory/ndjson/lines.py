"""Lines out of a stream that comes in pieces; no more than one of them is kept in memory. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import NamedTuple

__all__ = ["MAX_LINE_BYTES", "Line", "lines"]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Longest line that is read; the longest memory there can be takes half of it."""


class Line(NamedTuple):
    """A line as it was read.

    Attributes:
        number: From 1.
        text: Without the newline; ``None`` of one that is longer than allowed.
        whole: Whether a newline followed; only the last one may lack it.
    """

    number: int
    text: bytes | None
    whole: bool = True


async def lines(pieces: AsyncIterable[bytes], *, limit: int = MAX_LINE_BYTES) -> AsyncIterator[Line]:
    """The lines of a stream, ended by newlines alone; the last one needs none.

    Args:
        pieces: The stream.
        limit: Longest line, in bytes.
    """
    number, kept, too_long = 1, bytearray(), False
    async for piece in pieces:
        *ended, rest = piece.split(b"\n")
        for text in ended:
            kept += text
            yield Line(number, None if too_long or len(kept) > limit else bytes(kept))
            number, kept, too_long = number + 1, bytearray(), False
        too_long = too_long or len(kept) + len(rest) > limit
        if too_long:
            kept = bytearray()
        else:
            kept += rest
    if kept or too_long:
        yield Line(number, None if too_long else bytes(kept), whole=False)
