"""Splits a conversation file into JSON documents and says on which line something is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router_memory.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Block", "blocks"]

_FORMS = "one object with 'messages' a line, or chat messages in the OpenAI form"
_GAP = re.compile(r"[\s,:]*")


@dataclass(frozen=True, slots=True)
class Block:
    """One conversation as it stands in the file.

    Attributes:
        path: The file.
        line: Where it begins, from 1.
        document: An object whose ``messages`` are still unchecked.
        lines: The line of each message, where messages have lines of their own; else empty.
    """

    path: Path
    line: int
    document: Mapping[str, Any]
    lines: tuple[int, ...] = ()

    def problem(self, what: str, where: str = "", index: int | None = None) -> InvalidRequest:
        """The error to raise for this block, or for its message of that index."""
        line = self.lines[index] if index is not None and index < len(self.lines) else self.line
        return _problem(self.path, line, f"{where}: {what}" if where else what)


def blocks(path: Path) -> Iterator[Block]:
    """The conversations of a file.

    Raises:
        InvalidRequest: The file cannot be read, is not UTF-8 or not JSON, or holds no conversation.
    """
    text = _read(path)
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        documents = _json_lines(path, text, error)
        if any("messages" in document for _, document in documents):
            yield from (Block(path, line, _with_messages(path, line, document)) for line, document in documents)
        else:
            numbers = tuple(line for line, _ in documents)
            yield Block(path, numbers[0], {"messages": [document for _, document in documents]}, numbers)
        return
    line = 1 + text[: len(text) - len(text.lstrip())].count("\n")
    if isinstance(document, list):
        yield Block(path, line, {"messages": document}, _message_lines(text))
    elif isinstance(document, dict) and "messages" in document:
        yield Block(path, line, document, _message_lines(text) if isinstance(document["messages"], list) else ())
    elif isinstance(document, dict) and "role" in document:
        yield Block(path, line, {"messages": [document]})
    else:
        raise _problem(path, line, "holds no messages", hint=f"expected {_FORMS}")


def _read(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _problem(path, line, "is not UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidRequest(f"{path}: cannot be read: {reason}", field="conversation") from None
    if not text.strip():
        raise InvalidRequest(f"{path}: the file is empty", field="conversation", hint=f"expected {_FORMS}")
    return text


def _json_lines(path: Path, text: str, whole: Exception) -> list[tuple[int, dict[str, Any]]]:
    """Each line's object with its number. `whole` is why the file is not one document."""
    found: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except json.JSONDecodeError as error:
            if not found and isinstance(whole, json.JSONDecodeError):  # not JSON Lines at all: one broken document
                raise _problem(path, whole.lineno, f"is not JSON: {whole.msg} (column {whole.colno})") from None
            raise _problem(path, number, f"is not JSON: {error.msg} (column {error.colno})") from None
        except RecursionError:
            raise _problem(path, number, "is nested too deeply") from None
        if not isinstance(document, dict):
            raise _problem(path, number, "must be an object", hint=f"expected {_FORMS}")
        found.append((number, document))
    return found


def _with_messages(path: Path, line: int, document: dict[str, Any]) -> dict[str, Any]:
    if "messages" not in document:
        raise _problem(path, line, "has no 'messages', while other lines do")
    return document


def _message_lines(text: str) -> tuple[int, ...]:
    """The line on which each member of the message list begins, in a valid document that has one."""
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, 0)
    if text[at] == "{":
        at = _value_of(text, at + 1, "messages")
    at = _skip(text, at + 1)
    lines: list[int] = []
    line, counted = 1, 0
    while text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        lines.append(line)
        at = _skip(text, decode(text, at)[1])
    return tuple(lines)


def _value_of(text: str, at: int, wanted: str) -> int:
    """Where the last value of a key begins, in the object whose members begin at `at`."""
    decode = json.JSONDecoder().raw_decode
    found = -1
    at = _skip(text, at)
    while text[at] != "}":
        key, end = decode(text, at)
        at = _skip(text, end)
        if key == wanted:
            found = at
        at = _skip(text, decode(text, at)[1])
    return found


def _skip(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _problem(path: Path, line: int, what: str, *, hint: str = "") -> InvalidRequest:
    return InvalidRequest(f"{path}, line {line}: {what}", field="conversation", hint=hint)
