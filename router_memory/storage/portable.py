"""Memories as lines of text that any store can read back: what export writes and import reads.

Every line is one JSON object and says itself which form it has, so that lines may be filtered, sorted, split and put
together with ordinary tools, and a pipe that breaks leaves whole memories. Vectors, stems and statistics are not in
it: they follow from the text and the model of the store that takes it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from router_memory.errors import InvalidRequest
from router_memory.storage.checks import check_record
from router_memory.types import MemoryRecord, MemoryType, Scope, check_id

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELDS", "FORMAT", "check_portable", "from_line", "to_line"]

FORMAT = "router-memory/1"
"""What a line says it is. A form that older versions cannot read gets another number."""

FIELDS = (
    "format",
    "id",
    "user_id",
    "project",
    "type",
    "content",
    "role",
    "speaker",
    "conversation_id",
    "position",
    "part",
    "created_at",
    "updated_at",
    "importance",
    "access_count",
    "accessed_at",
)
"""Every field of a line, in its order."""

_REQUIRED = ("id", "user_id", "content", "created_at")
_FAMILY = FORMAT.partition("/")[0]
_NAME_CHARS = 40
_BREAKS = re.compile("[\x7f-\x9f\u2028\u2029]")  # taken for the end of a line by some tools


def to_line(record: MemoryRecord) -> str:
    """The memory as one line of JSON, without the newline."""
    values = {
        "format": FORMAT,
        "id": record.id,
        "user_id": record.scope.user_id,
        "project": record.scope.project,
        "type": record.type.value,
        "content": record.content,
        "role": record.role,
        "speaker": record.speaker,
        "conversation_id": record.conversation_id,
        "position": record.position,
        "part": record.part,
        "created_at": _time(record.created_at),
        "updated_at": _time(record.updated_at),
        "importance": record.importance,
        "access_count": record.access_count,
        "accessed_at": None if record.accessed_at is None else _time(record.accessed_at),
    }
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def from_line(line: bytes) -> tuple[MemoryRecord, tuple[str, ...]]:
    """The memory of a line, and the names of the line's fields that mean nothing here.

    Raises:
        InvalidRequest: It is not a memory in this form. The message holds no content.
    """
    values = _parsed(line)
    form = values.get("format")
    if form != FORMAT:
        raise _other_form(form)
    missing = [name for name in _REQUIRED if values.get(name) is None]
    if missing:
        raise InvalidRequest(f"{', '.join(missing)} missing", field=missing[0])
    record = MemoryRecord(
        id=values["id"],
        scope=Scope(values["user_id"], values.get("project")),
        content=values["content"],
        type=_type(values.get("type", MemoryType.SEMANTIC.value)),
        role=values.get("role"),
        speaker=values.get("speaker"),
        conversation_id=values.get("conversation_id"),
        position=values.get("position", 0),
        part=values.get("part", 0),
        created_at=_moment(values, "created_at"),
        updated_at=_moment(values, "updated_at" if values.get("updated_at") is not None else "created_at"),
        importance=values.get("importance", 0.5),
        access_count=values.get("access_count", 0),
        accessed_at=None if values.get("accessed_at") is None else _moment(values, "accessed_at"),
    )
    check_portable(record)
    return record, tuple(name[:_NAME_CHARS] for name in values if name not in FIELDS)


def check_portable(record: MemoryRecord) -> None:
    """Raises `InvalidRequest` unless every store can keep the memory as it is."""
    if not isinstance(record, MemoryRecord):
        raise InvalidRequest(f"must be a MemoryRecord, not {type(record).__name__}", field="records")
    if not isinstance(record.scope, Scope):
        raise InvalidRequest(f"scope must be a Scope, not {type(record.scope).__name__}", field="scope")
    check_id(record.id, "id")
    share = record.importance
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InvalidRequest("importance must be a number in [0, 1]", field="importance")
    check_record(record)
    if not record.content.strip():
        raise InvalidRequest("content must not be empty or blank", field="content")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InvalidRequest("is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"is not JSON: {error.msg} (column {error.colno})") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, thousands of brackets
        raise InvalidRequest("is not JSON that can be read") from None
    if not isinstance(values, dict):
        raise InvalidRequest("is not a JSON object")
    return values


def _other_form(form: object) -> InvalidRequest:
    if isinstance(form, str) and form.partition("/")[0] == _FAMILY:
        what = f"has the form {form[:_NAME_CHARS]!r}, this version reads {FORMAT!r}"
        return InvalidRequest(what, field="format", hint="import it with the version of router-memory that wrote it")
    return InvalidRequest(f"is no exported memory: its format is not {FORMAT!r}", field="format")


def _type(value: Any) -> MemoryType:
    try:
        return MemoryType(value)
    except ValueError:
        valid = ", ".join(member.value for member in MemoryType)
        raise InvalidRequest(f"type must be one of {valid}", field="type") from None


def _moment(values: Mapping[str, Any], field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(values[field])
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidRequest(f"{field} must be an ISO 8601 time with an offset, such as 2026-03-01T12:00:00Z", field=field)
