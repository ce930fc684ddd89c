"""What a request shows of who is asking: the few headers that count, each with one value or none."""

from __future__ import annotations

from collections.abc import Sequence

from router_memory.errors import NotAuthenticated

__all__ = ["API_KEY", "AUTHORIZATION", "Presented", "bearer"]

AUTHORIZATION = b"authorization"
API_KEY = b"x-api-key"

_BLANK = b" \t"  # what HTTP allows around a value
_NEVER = frozenset("\r\n\0")  # what it allows nowhere; a server that folds lines lets them through
_BEARER = b"bearer"


class Presented:
    """The values of the headers that say who is asking, untouched until they are asked for.

    Args:
        headers: Names and values as ASGI gives them.
        user_header: Name of the user header, in lower case.
    """

    __slots__ = ("_authorizations", "_keys", "_users")

    def __init__(self, headers: Sequence[tuple[bytes, bytes]], user_header: bytes) -> None:
        self._users: list[bytes] = []
        self._authorizations: list[bytes] = []
        self._keys: list[bytes] = []
        for name, value in headers:
            lower = name.lower()
            if lower == user_header:
                self._users.append(value)
            elif lower == AUTHORIZATION:
                self._authorizations.append(value)
            elif lower == API_KEY:
                self._keys.append(value)

    @property
    def names_user(self) -> bool:
        """Whether there is a user header, whatever it holds."""
        return bool(self._users)

    @property
    def has_credential(self) -> bool:
        """Whether there is a header that could hold a credential."""
        return bool(self._authorizations or self._keys)

    def user(self) -> str | None:
        """The user that the user header names; ``None`` without one, and for one that is blank.

        Raises:
            NotAuthenticated: It stands there with two values, or is not text.
        """
        value = _one(self._users, "user header")
        if not value:
            return None
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise NotAuthenticated("the user header is not text in UTF-8") from None
        if not _NEVER.isdisjoint(text):
            raise NotAuthenticated("the user header holds a line break or a zero character")
        return text if text.strip() else None

    def authorization(self) -> bytes | None:
        """The whole value of ``Authorization``; ``None`` without one, and for an empty one.

        Raises:
            NotAuthenticated: It stands there with two values.
        """
        return _one(self._authorizations, "Authorization header") or None

    def api_key(self) -> bytes | None:
        """The value of ``x-api-key``; ``None`` without one, and for an empty one.

        Raises:
            NotAuthenticated: It stands there with two values.
        """
        return _one(self._keys, "x-api-key header") or None


def bearer(authorization: bytes) -> bytes | None:
    """What follows ``Bearer``; ``None`` for another scheme, for nothing, and for more than one word."""
    scheme, _, rest = authorization.partition(b" ")
    token = rest.strip(_BLANK)
    if scheme.lower() != _BEARER or not token or b" " in token or b"\t" in token:
        return None
    return token


def _one(values: list[bytes], what: str) -> bytes | None:
    """The only value. Two equal ones are one; of two that differ nobody knows which the gateway set."""
    if not values:
        return None
    found = {value.strip(_BLANK) for value in values}
    if len(found) > 1:
        raise NotAuthenticated(f"the request has more than one {what}")
    return found.pop()
