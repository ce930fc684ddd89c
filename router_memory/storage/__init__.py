"""What every store has in common: the checks of its arguments, cursors, and how values are written down."""

from __future__ import annotations

from router_memory.storage.checks import (
    check_change,
    check_ids,
    check_layout,
    check_limit,
    check_moment,
    check_query,
    check_types,
    check_writes,
)
from router_memory.storage.cursor import Position, decode_cursor, encode_cursor
from router_memory.storage.encoding import encode_document, from_microseconds, new_epoch, to_microseconds

__all__ = [
    "Position",
    "check_change",
    "check_ids",
    "check_layout",
    "check_limit",
    "check_moment",
    "check_query",
    "check_types",
    "check_writes",
    "decode_cursor",
    "encode_cursor",
    "encode_document",
    "from_microseconds",
    "new_epoch",
    "to_microseconds",
]
