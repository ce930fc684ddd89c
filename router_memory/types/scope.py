"""Who a memory belongs to, and the digests that stand for ids in every store."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from router_memory.errors import InvalidRequest

__all__ = ["MAX_ID_BYTES", "Scope", "check_id", "conversation_key", "record_id"]

MAX_ID_BYTES = 65_536
"""Longest user, project or conversation id accepted, in UTF-8 bytes."""

_DIGEST_BYTES = 16


def _digest(kind: bytes, *parts: str) -> str:
    """128-bit BLAKE2b of the parts as hex; each part is length-prefixed, so no two lists collide by joining."""
    state = blake2b(digest_size=_DIGEST_BYTES, person=kind)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        state.update(len(raw).to_bytes(8, "big"))
        state.update(raw)
    return state.hexdigest()


def check_id(value: object, field: str) -> None:
    """Raises `InvalidRequest` for an id that is not a string, blank, too long or not valid Unicode."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a string, not {type(value).__name__}", field=field)
    if not value.strip():
        raise InvalidRequest(f"{field} must not be empty", field=field)
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidRequest(f"{field} holds a lone surrogate and is not valid Unicode", field=field) from None
    if size > MAX_ID_BYTES:
        raise InvalidRequest(f"{field} has {size:,} bytes; at most {MAX_ID_BYTES:,} are accepted", field=field)


@dataclass(frozen=True, slots=True)
class Scope:
    """The owner of memories: one user, optionally narrowed to one project of that user.

    Ids are compared exactly: case, white space, commas and quotes are part of the id. A scope
    without a project reads all of the user's projects and writes to none.

    Args:
        user_id: Any non-blank string of at most `MAX_ID_BYTES` UTF-8 bytes.
        project: The same, or ``None``.

    Raises:
        InvalidRequest: An id is blank, too long, or not valid Unicode.
    """

    user_id: str
    project: str | None = None

    def __post_init__(self) -> None:
        check_id(self.user_id, "user_id")
        if self.project is not None:
            check_id(self.project, "project")

    @property
    def user_digest(self) -> str:
        """128-bit digest of the user id, 32 hex characters: the only form in which it enters a query."""
        return _digest(b"user", self.user_id)

    @property
    def project_digest(self) -> str | None:
        """128-bit digest of user and project, 32 hex characters; ``None`` without a project."""
        return None if self.project is None else _digest(b"project", self.user_id, self.project)


def conversation_key(scope: Scope, first_message: str) -> str:
    """The id of a conversation that came without one: a digest of the scope and its first user message.

    A client that sends the whole history each time keeps the same key; one that trims the history
    should send a conversation id of its own.
    """
    return _digest(b"conversation", scope.user_id, scope.project or "", first_message)


def record_id(
    scope: Scope,
    *,
    content: str,
    type: str,
    role: str = "",
    conversation_id: str = "",
    occurrence: int = 0,
    part: int = 0,
) -> str:
    """The id of a memory: 128 bits over everything that makes it that memory, 32 hex characters.

    Storing the same message again gives the same id, so a replay stores nothing twice.

    Args:
        occurrence: The message's place among the messages of the request with the same role and content, from
            0. Unlike an index into the history it stays the same when a client trims the front, so a trimmed
            replay stores nothing twice. The price: when a client trims away the first of two equal messages,
            or sends no history at all, the second one is taken for a replay of the first.
        part: Which part of a message too long for one memory, from 0.
    """
    return _digest(
        b"record", scope.user_id, scope.project or "", conversation_id, str(occurrence), role, type, str(part), content
    )
