"""Tables of where samples of a hit and of a miss fell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.report.documents import Documents, figures
from bench.report.tables import markdown, number, percent

__all__ = ["functions", "rooms"]

_PARTS = ("hit", "miss")


def rooms(documents: Documents) -> str | None:
    """Time and share of each room, of a hit and of a miss."""
    found = _found(documents)
    if not found:
        return None
    head = ["", *(text for part in found for text in (f"{part}, µs", "share"))]
    names = dict.fromkeys(name for one in found.values() for name in one["rooms"])
    rows = [[name, *(cell for one in found.values() for cell in _cells(one["rooms"].get(name)))] for name in names]
    rows = [row for row in rows if any(row[1:])]
    rows.append(["the request", *(cell for one in found.values() for cell in (number(one["microseconds"]), ""))])
    return markdown(head, rows)


def functions(documents: Documents) -> str | None:
    """Those in which the most samples ended, of each part."""
    found = _found(documents)
    rows = [
        [part, f"`{name}`", *_cells(one)] for part, parts in found.items() for name, one in parts["functions"].items()
    ]
    return markdown(["", "function", "µs of a request", "share"], rows, words=2) if rows else None


def _found(documents: Documents) -> dict[str, Mapping[str, Any]]:
    return {part: one for part in _PARTS if (one := figures(documents, "profile", part)) is not None}


def _cells(one: Mapping[str, float] | None) -> tuple[str, str]:
    return (number(one["microseconds"]), percent(one["share"])) if one and one["share"] else ("", "")
