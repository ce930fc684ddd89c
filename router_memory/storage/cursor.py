"""Cursors of listings: where a page ended, bound to the scope it was given to."""

from __future__ import annotations

import base64
import binascii
import json
from typing import NamedTuple

from router_memory.errors import InvalidRequest
from router_memory.storage.checks import MAX_INTEGER, check_integer, check_plain_text
from router_memory.types import Scope

__all__ = ["Position", "decode_cursor", "encode_cursor"]


class Position(NamedTuple):
    """Where a page of a listing ended."""

    created_at: int
    position: int
    id: str


def _owner(scope: Scope) -> str:
    return scope.project_digest or scope.user_digest


def encode_cursor(scope: Scope, position: Position) -> str:
    """The opaque cursor for what follows `position` in the scope."""
    raw = json.dumps([_owner(scope), *position], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(scope: Scope, cursor: str) -> Position:
    """Where the page before ended.

    Raises:
        InvalidRequest: It is not a cursor this scope was given.
    """
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        owner, created_at, position, last = json.loads(raw)
        if owner != _owner(scope):
            raise InvalidRequest("the cursor belongs to another scope", field="cursor")
        check_plain_text(last, "cursor")
        if not isinstance(created_at, int) or abs(created_at) > MAX_INTEGER:
            raise InvalidRequest("the cursor is not one of this store", field="cursor")
        check_integer(position, "cursor")
    except (binascii.Error, UnicodeError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest("the cursor is not one of this store", field="cursor") from None
    return Position(created_at, position, last)
