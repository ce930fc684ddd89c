"""The latest events and requests of a process, for the dashboard and for the question what happened just before."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router_memory.types import CacheLevel, Outcome, Reason, Status

__all__ = ["KINDS", "Timeline"]

KINDS = frozenset(
    "started reloaded reload_refused worker_started worker_died store_away store_back cache_breaker draining".split()
)
"""What can be noted; anything else is a mistake of the program."""

_EVENTS = 500
_REQUESTS = 200
_FIELD_CHARS = 200
_FIELDS = 16


_Request = tuple[float, str, "Status", "Reason", int, "CacheLevel", "Mapping[str, float]"]
"""What `_summary` makes a request of when somebody looks; requests wait for nothing here."""


@dataclass(frozen=True, slots=True)
class _Event:
    """One line of the timeline.

    Attributes:
        at: Seconds since 1970.
        kind: What it is.
        fields: The rest, JSON-compatible.
    """

    at: float
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"at": _moment(self.at), "kind": self.kind, **self.fields}


class Timeline:
    """Two bounded rings, one of events and one of requests, so that traffic pushes no event out.

    Fields never hold user ids, texts of users or secrets; that is the caller's duty. What can be checked is: a field
    is a short string, a number, a truth value or nothing, or a mapping or list of such.

    Args:
        noted: Called with the kind of each event.
    """

    def __init__(self, *, noted: Callable[[str], None] | None = None) -> None:
        self._events: deque[_Event] = deque(maxlen=_EVENTS)
        self._requests: deque[_Request] = deque(maxlen=_REQUESTS)
        self._noted = noted

    def note(self, kind: str, **fields: Any) -> None:
        """Adds an event that happened now.

        Args:
            kind: One of `KINDS`.
            fields: What is to be said of it; long strings are cut.

        Raises:
            ValueError: There is no such kind.
        """
        if kind not in KINDS:
            raise ValueError(f"there is no event of the kind {kind!r}")
        kept = {name: _plain(value) for name, value in list(fields.items())[:_FIELDS] if name not in ("at", "kind")}
        self._events.append(_Event(time.time(), kind, kept))
        if self._noted is not None:
            self._noted(kind)

    def request(self, decision: str, outcome: Outcome, cache: CacheLevel) -> None:
        """Adds a request that memory has just had its part in.

        Args:
            decision: As it may be shown.
            outcome: What memory did; nothing but figures and names is kept of it.
            cache: Which level of the hot cache answered.
        """
        explain = outcome.explain
        self._requests.append(
            (time.time(), decision, outcome.status, outcome.reason, len(outcome.memories), cache, explain.seconds)
        )

    def recent(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest events, newest first: each with ``at`` (ISO 8601), ``kind`` and its fields.

        Args:
            limit: Most that are given, ≥ 0.
        """
        latest = zip(range(max(limit, 0)), reversed(self._events), strict=False)
        return [event.as_dict() for _, event in latest]

    def requests(self, limit: int = 100) -> list[dict[str, Any]]:
        """The latest requests, newest first, each of the kind ``request``.

        ``decision`` is one that the configuration knows, else ``other``, and ``none`` where there was none; ``ms`` is
        what memory took; ``stages`` are milliseconds by stage.

        Args:
            limit: Most that are given, ≥ 0.
        """
        latest = zip(range(max(limit, 0)), reversed(self._requests), strict=False)
        return [_summary(*request) for _, request in latest]


def _summary(
    at: float,
    decision: str,
    status: Status,
    reason: Reason,
    count: int,
    cache: CacheLevel,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    return {
        "at": _moment(at),
        "kind": "request",
        "decision": decision,
        "status": status.value,
        "reason": reason.value,
        "count": count,
        "ms": _milliseconds(seconds.get("total", 0.0)),
        "cache": cache.value,
        "stages": {stage: _milliseconds(took) for stage, took in seconds.items() if stage != "total"},
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _plain(value: object) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key)[:_FIELD_CHARS]: _plain(item) for key, item in list(value.items())[:_FIELDS]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in list(value)[:_FIELDS]]
    return str(value)[:_FIELD_CHARS]
