"""Finds where the members of a JSON object lie in its bytes, without making objects of them. Pure.

A body that is to reach the upstream as it came, but for one message, cannot be parsed and written anew: integers beyond
64 bits, floats as they were written, lone surrogates and duplicate keys would not survive. So only places are looked
for. That takes little: everything between two brackets is skipped by one match of a regular expression.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from dataclasses import dataclass, field

__all__ = ["Layout", "Span", "Steps", "Unreadable", "scan"]

MOST_ELEMENTS = 10_000
"""Longest array whose elements are looked at."""

_WINDOW = 65_536
"""Bytes that one match of a regular expression may run over: what bounds the time of one step."""

_STEP = 262_144
"""Bytes between two pauses; the start of an array or object counts as `_BRACKET` of them."""

_BRACKET = 64

MOST_BRACKETS = 200_000
"""Arrays and objects, begun or ended, that are walked through: a body of nothing else is not worth the time."""

_BLANK = rb"[ \t\r\n]*+"
_START = re.compile(_BLANK + rb"\{")
_MEMBER = re.compile(_BLANK + rb'"((?:[^"\\]++|\\.)*+)"' + _BLANK + rb":" + _BLANK, re.DOTALL)
_NEXT = re.compile(_BLANK + rb"([,}\]])" + _BLANK)
_BLANKS = re.compile(_BLANK)
_SCALAR = re.compile(rb'[^,{}\[\]" \t\r\n]++')
_RUN = re.compile(rb'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
"""Everything up to the next bracket, or to a string that does not end within the window."""
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
"""The rest of a string, up to the quote that ends it."""

_QUOTE, _BACKSLASH, _OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = b'"\\[]{}'

Span = tuple[int, int]
"""Start and end of a value in the body."""

Steps = Generator[None, None, int]
"""Pauses now and then, and gives the place behind what was read."""


class Unreadable(Exception):
    """The body is no JSON object, or one of too many parts to look at."""


@dataclass(slots=True)
class Layout:
    """Where the members of an object lie.

    Attributes:
        start: Behind the brace that opens it.
        empty: Whether it has no member.
        members: The value of each member asked for, the last one of a name: what nearly every parser keeps.
        elements: Of each member that was asked for and is an array, its elements.
        objects: Names of those arrays all of whose elements are objects.
    """

    start: int = 0
    empty: bool = True
    members: dict[str, Span] = field(default_factory=dict)
    elements: dict[str, list[Span]] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)


def scan(body: bytes, wanted: frozenset[str], layout: Layout) -> Steps:
    """Fills in a layout, step by step, so that a large body need not be read in one go.

    Args:
        body: JSON in UTF-8. What the members hold is not checked.
        wanted: Names of the members to find.
        layout: An empty one.

    Raises:
        Unreadable: See there.
    """
    scanner = _Scanner(body)
    begin = _START.match(body)
    if begin is None:
        raise Unreadable
    position = layout.start = begin.end()
    if _closes(body, position, b"}"):
        return len(body)
    layout.empty = False
    while True:
        member = _MEMBER.match(body, position)
        if member is None:
            raise Unreadable
        name, start = _name(member[1]), member.end()
        if name in wanted:
            position = yield from _wanted(scanner, name, start, layout)
            layout.members[name] = (start, position)
        else:
            position = yield from scanner.value(start)
        following = _NEXT.match(body, position)
        if following is None or following[1] == b"]":
            raise Unreadable
        position = following.end()
        if following[1] == b"}":
            if position != len(body):
                raise Unreadable
            return position


def _wanted(scanner: _Scanner, name: str, start: int, layout: Layout) -> Steps:
    layout.elements.pop(name, None)
    layout.objects.discard(name)
    if start >= len(scanner.body) or scanner.body[start] != _OPEN_LIST:
        return (yield from scanner.value(start))
    elements: list[Span] = []
    end = yield from scanner.array(start, elements)
    layout.elements[name] = elements
    if all(scanner.body[first] == _OPEN for first, _ in elements):
        layout.objects.add(name)
    return end


class _Scanner:
    """Walks over values, and pauses where it has done a step's work."""

    __slots__ = ("_brackets", "_done", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._done = 0
        self._brackets = 0

    def value(self, start: int) -> Steps:
        """The end of the value that starts here."""
        body = self.body
        first = body[start] if start < len(body) else _CLOSE
        if first in (_OPEN, _OPEN_LIST):
            return (yield from self._nested(start + 1))
        if first == _QUOTE:
            return (yield from self._string(start))
        scalar = _SCALAR.match(body, start)
        if scalar is None:
            raise Unreadable
        return scalar.end()

    def array(self, start: int, elements: list[Span]) -> Steps:
        """The end of the array that starts here; its elements are noted."""
        body = self.body
        blanks = _BLANKS.match(body, start + 1)
        position = blanks.end() if blanks else start + 1
        if body[position : position + 1] == b"]":
            return position + 1
        while True:
            end = yield from self.value(position)
            elements.append((position, end))
            following = _NEXT.match(body, end)
            if following is None or following[1] == b"}" or len(elements) > MOST_ELEMENTS:
                raise Unreadable
            if following[1] == b"]":
                return following.start(1) + 1
            position = following.end()

    def _nested(self, position: int) -> Steps:
        """The end of the array or object whose inside starts here."""
        body, size, depth = self.body, len(self.body), 1
        while True:
            until = min(position + _WINDOW, size)
            run = _RUN.match(body, position, until)
            self._done += _BRACKET - position
            position = run.end() if run else position
            self._done += position
            if position == size:
                raise Unreadable
            if position < until:
                found = body[position]
                if found == _QUOTE:  # a long string, or one at the end of the window
                    position = yield from self._string(position)
                else:
                    depth += 1 if found in (_OPEN, _OPEN_LIST) else -1
                    position += 1
                    self._brackets += 1
                    if self._brackets > MOST_BRACKETS:
                        raise Unreadable
            if self._done >= _STEP:
                self._done = 0
                yield
            if not depth:
                return position

    def _string(self, start: int) -> Steps:
        """The end of the string that starts here."""
        body, size = self.body, len(self.body)
        end = body.find(b'"', start + 1)
        if end < 0:
            raise Unreadable
        if body[end - 1] != _BACKSLASH or (end - 2 > start and _unescaped(body, start, end)):
            return end + 1
        position = start + 1
        while True:
            inside = _INSIDE.match(body, position, min(position + _WINDOW, size))
            end = inside.end() if inside else position
            if end < size and body[end] == _QUOTE:
                return end + 1
            if end == position:
                raise Unreadable
            self._done += end - position
            position = end
            if self._done >= _STEP:
                self._done = 0
                yield


def _unescaped(body: bytes, start: int, quote: int) -> bool:
    """Whether an even number of backslashes precedes the quote."""
    before = body[max(start + 1, quote - 64) : quote]
    count = len(before) - len(before.rstrip(b"\\"))
    return count < len(before) and count % 2 == 0  # all backslashes: leave it to the slow way


def _name(raw: bytes) -> str:
    try:
        if b"\\" in raw:
            return str(json.loads(b'"' + raw + b'"'))
        return raw.decode()
    except ValueError:
        return ""


def _closes(body: bytes, position: int, bracket: bytes) -> bool:
    following = _NEXT.match(body, position)
    if following is None or following[1] != bracket:
        return False
    if following.end() != len(body):
        raise Unreadable
    return True
