"""Entity tags of memories, and what requests demand of them (RFC 9110, sections 8.8.3 and 13). Pure."""

from __future__ import annotations

import re
from hashlib import blake2b

import orjson

from router_memory.types import MemoryRecord

__all__ = ["etag_of", "is_known", "is_same"]

_DIGEST_BYTES = 16
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ANY = "*"


def etag_of(record: MemoryRecord) -> str:
    """The tag of a memory: it changes with everything but the counts of its uses, which no update has to mind."""
    state = orjson.dumps(
        [
            record.scope.user_digest,
            record.scope.project,
            record.id,
            record.type.value,
            record.content,
            record.role,
            record.speaker,
            record.conversation_id,
            record.position,
            record.part,
            record.importance,
            record.created_at,
            record.updated_at,
        ],
        option=orjson.OPT_UTC_Z,
    )
    return f'"{blake2b(state, digest_size=_DIGEST_BYTES).hexdigest()}"'


def is_same(if_match: str | None, etag: str) -> bool:
    """Whether a write may go on: there is no If-Match, or it is ``*`` or names the tag. Weak tags never match."""
    if if_match is None or if_match.strip() == _ANY:
        return True
    return any(not weak and f'"{tag}"' == etag for weak, tag in _TAG.findall(if_match))


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has this state already: If-None-Match is ``*`` or names the tag, weak or not."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == _ANY or any(f'"{tag}"' == etag for _, tag in _TAG.findall(if_none_match))
