"""Log lines: one JSON object each, or plain text, with the id of the request and without anything users said.

Our own messages are written so that they hold no user id, no text of a user and no secret. Nobody can promise that of
a library or of an exception, so of foreign log records only the template is written, and of an exception its type and
place; its message only where the error is ours and quotes nothing that a caller sent.
"""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from router_memory.errors import InvalidRequest, RouterMemoryError
from router_memory.telemetry.visits import request_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from router_memory.telemetry.visits import Visit

__all__ = ["JsonFormatter", "TextFormatter", "access_line", "configure_logging"]

_OURS = "router_memory"
_TRUSTED = ("uvicorn", "uvicorn.error")
"""Loggers of others whose messages tell of addresses and signals alone."""
_FIRST_LINE = ("asyncio",)
"""Those whose first line is fixed; what follows shows objects."""
_QUIET = ("httpx", "httpx2", "httpcore", "mcp", "uvicorn.access")
"""Those that log each request, with paths or bodies."""
_FRAMES = 12
_CAUSES = 5
_ACCESS = logging.getLogger("router_memory.http.access")


def configure_logging(
    log_format: str = "json", *, access_log: bool = True, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Writes the log of this process in one form, that of libraries too; what was configured before is replaced.

    Of libraries warnings and worse are written. A server that configures logging itself must be told not to.

    Args:
        log_format: ``json`` or ``text``.
        access_log: Whether each request gets a line.
        level: Least severe of ours that is written.
        stream: Where to; standard error by default.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(TextFormatter() if log_format == "text" else JsonFormatter())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in (_OURS, *_TRUSTED):
        _direct(name, max(level, logging.INFO) if name in _TRUSTED else level)
    for name in _QUIET:
        _direct(name, logging.ERROR)
    _ACCESS.setLevel(logging.INFO if access_log else logging.CRITICAL)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # what cannot be written must not be shown on standard error either
    warnings.simplefilter("once")


def access_line(visit: Visit, *, route: str, status: int, seconds: float) -> None:
    """One line for a request that was answered: no path, query, header or address, for each may hold an id."""
    if not _ACCESS.isEnabledFor(logging.INFO):
        return
    fields: dict[str, object] = {
        "method": visit.method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 3),
    }
    if visit.status:
        fields["memory_status"], fields["memory_reason"] = visit.status, visit.reason
    if visit.span is not None and (context := visit.span.get_span_context()).is_valid:
        fields["trace_id"] = f"{context.trace_id:032x}"
    _ACCESS.info("request", extra={"fields": fields, "request_id": visit.request_id})


class JsonFormatter(logging.Formatter):
    """One object a line: ``at``, ``level``, ``logger``, ``message``, ``request_id``, more fields, ``error``."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        return orjson.dumps(_parts(record), default=_type_of).decode()


class TextFormatter(logging.Formatter):
    """The same on one line for people; line ends and other control characters within are shown escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        parts = _parts(record)
        line = f"{parts.pop('at')} {parts.pop('level'):<7} {parts.pop('logger')}: {parts.pop('message')}"
        error = parts.pop("error", None)
        line += "".join(f" {name}={value}" for name, value in parts.items())
        if error is not None:
            line += f" error={orjson.dumps(error, default=_type_of).decode()}"
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def _parts(record: logging.LogRecord) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
    }
    ours = _is_of(record.name, _OURS)
    if shown := (getattr(record, "request_id", "") if ours else "") or request_id():
        parts["request_id"] = shown
    fields: Mapping[str, object] | None = getattr(record, "fields", None) if ours else None
    if fields:
        parts.update((name, value) for name, value in fields.items() if name not in parts)
    if record.exc_info and record.exc_info[1] is not None:
        parts["error"] = _error(record.exc_info[1])
    return parts


def _message(record: logging.LogRecord) -> str:
    if _is_of(record.name, _OURS) or record.name in _TRUSTED:
        return record.getMessage().strip()
    template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
    if record.name == "py.warnings":
        return _warning(record.getMessage())
    if record.name in _FIRST_LINE:
        return template.splitlines()[0] if template else ""
    if record.args:
        return template
    return f"logged at {record.module}:{record.lineno}"  # a message made before it came here may hold anything


def _warning(message: str) -> str:
    """``path:line: Category`` of a warning; its text may quote what it is about."""
    place, _, rest = message.partition(": ")
    return f"{place}: {rest.partition(':')[0]}" if rest else "a warning"


def _error(error: BaseException) -> list[dict[str, object]]:
    """The error and what caused it, outermost first: the type, the places, innermost last, and maybe the message."""
    chain: list[dict[str, object]] = []
    current: BaseException | None = error
    while current is not None and len(chain) < _CAUSES:
        shown: dict[str, object] = {"type": f"{type(current).__module__}.{type(current).__qualname__}"}
        if isinstance(current, RouterMemoryError) and not isinstance(current, InvalidRequest):
            shown["message"] = str(current)
        shown["at"] = _places(current.__traceback__)
        chain.append(shown)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return chain


def _places(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-_FRAMES:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


def _is_of(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")


def _direct(name: str, level: int) -> None:
    """Has a logger hand everything from this level on to the root's handler, and to nobody else."""
    logger = logging.getLogger(name)
    for old in tuple(logger.handlers):
        logger.removeHandler(old)
    logger.propagate = True
    logger.disabled = False
    logger.setLevel(level)


def _type_of(value: object) -> str:
    return type(value).__name__
