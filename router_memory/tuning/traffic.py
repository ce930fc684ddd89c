"""Reads traffic: JSON Lines with a user and a query each, and maybe the memories that ought to be injected."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router_memory.errors import InvalidRequest
from router_memory.types import Scope

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMS", "Asked", "Traffic", "is_traffic", "read_traffic"]

FORMS = "conversations with 'messages' and 'questions', or objects with 'user_id' and 'query', one a line"

_FIELDS = frozenset({"user_id", "project", "query", "relevant"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One line.

    Attributes:
        line: Its number, from 1.
        query: The user's words.
        relevant: Ids of the memories that should be injected, maybe none; ``None`` where the line does not say.
    """

    line: int
    scope: Scope
    query: str
    relevant: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Traffic:
    """A file of requests; either all of them say what is relevant, or none.

    Attributes:
        ignored: Names of fields that mean nothing here.
    """

    path: Path
    asked: tuple[Asked, ...]
    ignored: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether the lines say what is relevant."""
        return self.asked[0].relevant is not None

    def problem(self, line: int, what: str, *, hint: str = "") -> InvalidRequest:
        """The error to raise for a line."""
        return _problem(self.path, line, what, hint=hint)


def is_traffic(path: Path) -> bool:
    """Whether the first line that is not blank looks like a request rather than like a conversation.

    Raises:
        InvalidRequest: The file cannot be read or is empty.
    """
    for _, line in _lines(path):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            return False  # maybe the beginning of one long document: the reader of conversations says what is wrong
        return isinstance(document, Mapping) and not {"messages", "role"} & document.keys()
    raise InvalidRequest(f"{path}: the file is empty", field="data", hint=f"expected {FORMS}")


def read_traffic(path: Path) -> Traffic:
    """The requests of a file.

    Raises:
        InvalidRequest: A line is wrong; the message names it and says what is.
    """
    asked: list[Asked] = []
    ignored: dict[str, None] = {}
    for number, line in _lines(path):
        document = _object(path, number, line)
        ignored |= dict.fromkeys(key for key in document if key not in _FIELDS)
        asked.append(_asked(path, number, document))
        if (asked[0].relevant is None) is not (asked[-1].relevant is None):
            has, had = ("has", "has none") if asked[0].relevant is None else ("has no", "has it")
            raise _problem(path, number, f"{has} 'relevant', while line {asked[0].line} {had}")
    return Traffic(path, tuple(asked), tuple(ignored))


def _lines(path: Path) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    try:
        readable_again = path.is_file() or not path.exists()
        content = path.read_bytes() if readable_again else b""
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise InvalidRequest(f"{path}: cannot be read: {reason}", field="data") from None
    if not readable_again:
        raise InvalidRequest(
            f"{path}: is not a regular file, and the data are read more than once",
            field="data",
            hint="save them to a file first",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(path, content.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except json.JSONDecodeError as error:
        raise _problem(path, number, f"is not JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise _problem(path, number, "is nested too deeply") from None
    if not isinstance(document, dict):
        raise _problem(path, number, "must be an object", hint=f"expected {FORMS}")
    if "messages" in document:
        raise _problem(path, number, "is a conversation, while the first line is a request")
    return document


def _asked(path: Path, number: int, document: Mapping[str, Any]) -> Asked:
    for key in ("user_id", "query"):
        if key not in document:
            raise _problem(path, number, f"has no {key!r}", hint=f"expected {FORMS}")
    query = document["query"]
    if not isinstance(query, str) or not query.strip():
        raise _problem(path, number, "query must be a string that is not blank")
    try:
        scope = Scope(document["user_id"], document.get("project"))
    except InvalidRequest as error:
        raise _problem(path, number, error.message) from None
    relevant = document.get("relevant")
    if "relevant" in document and not (isinstance(relevant, list) and all(isinstance(one, str) for one in relevant)):
        raise _problem(path, number, "relevant must be a list of memory ids")
    return Asked(number, scope, query, None if relevant is None else frozenset(relevant))


def _problem(path: Path, line: int, what: str, *, hint: str = "") -> InvalidRequest:
    return InvalidRequest(f"{path}, line {line}: {what}", field="data", hint=hint)
