"""Server-sent events, cut out of a stream that goes by. Pure."""

from __future__ import annotations

import re

__all__ = ["EventLines"]

MOST_BYTES = 4_194_304
"""Longest event that is read."""

_LINE_END = re.compile(rb"\r\n|\n|\r")


class EventLines:
    """Gives the data of each event as it becomes complete.

    Attributes:
        lost: Whether there was an event longer than `MOST_BYTES`; nothing is read behind it.
    """

    __slots__ = ("_data", "_half_ended", "_rest", "_size", "lost")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0
        self._half_ended = False
        self._data: list[bytes] = []
        self.lost = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that end within this part of the stream, in order."""
        if self.lost:
            return []
        self._rest.append(chunk)
        self._size += len(chunk)
        # A long line is joined once, when it ends.
        lines = self._cut() if self._half_ended or b"\n" in chunk or b"\r" in chunk else []
        if self._size > MOST_BYTES or sum(map(len, self._data)) > MOST_BYTES:
            self.lost, self._rest, self._data = True, [], []
            return []
        return [event for event in map(self._line, lines) if event is not None]

    def _cut(self) -> list[bytes]:
        """The lines that have ended."""
        text = b"".join(self._rest)
        if b"\r" not in text:
            lines = text.split(b"\n")
        else:
            held = b"\r" if text.endswith(b"\r") else b""  # half of a line end, perhaps
            lines = _LINE_END.split(text.removesuffix(b"\r"))
            lines[-1] += held
        rest = lines.pop()
        self._rest, self._size, self._half_ended = [rest], len(rest), rest.endswith(b"\r")
        return lines

    def _line(self, line: bytes) -> bytes | None:
        """The event's data, if this line ends it."""
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line and self._data:
            event, self._data = b"\n".join(self._data), []
            return event
        return None
