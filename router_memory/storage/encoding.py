"""How times and stems are written down, the same in every store."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router_memory.types import Document

__all__ = ["encode_document", "from_microseconds", "new_epoch", "to_microseconds"]

_EPOCH_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC time."""
    return _EPOCH + timedelta(microseconds=microseconds)


def encode_document(document: Document) -> str:
    """The stems as compact JSON."""
    return json.dumps(dict(document.stems), ensure_ascii=False, separators=(",", ":"))


def new_epoch() -> str:
    """A random token of 128 bits as 32 hex digits, for a user's data after a write."""
    return secrets.token_hex(_EPOCH_BYTES)
