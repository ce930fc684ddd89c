"""JSON web tokens: whether one holds, and whom it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any

import jwt
from cachetools import TLRUCache

from router_memory.config.auth import JwtSection
from router_memory.errors import InvalidRequest, NotAuthenticated
from router_memory.identity.signing_keys import SigningKeys
from router_memory.types.scope import check_id

__all__ = ["MAX_TOKEN_BYTES", "REMEMBERED", "REMEMBERED_SECONDS", "Subject", "Tokens"]

MAX_TOKEN_BYTES = 16_384
"""Longest token that is looked at."""

REMEMBERED = 4096
"""How many verified tokens are remembered."""

REMEMBERED_SECONDS = 60.0
"""How long at most, and never longer than the token itself says."""

_SPACED = "scope"  # the one claim that holds words between blanks, RFC 8693 §4.2


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a token is about.

    Attributes:
        user_id: The user; ``None`` for an admin's token that has none.
        admin: Whether it is an operator's.
        expires: When it ends, in seconds since 1970.
    """

    user_id: str | None
    admin: bool
    expires: float


class Tokens:
    """Verifies tokens: signature, issuer, audience and times. Nothing is fetched from anywhere.

    Args:
        section: What must hold.
        keys: The issuer's.
        clock: Seconds since 1970, for how long a verified token is remembered.
    """

    def __init__(self, section: JwtSection, keys: SigningKeys, clock: Callable[[], float]) -> None:
        self._section = section
        self._keys = keys
        self._known: TLRUCache[bytes, Subject] = TLRUCache(REMEMBERED, _until, timer=clock)
        self._lock = Lock()

    def subject(self, token: bytes) -> Subject:
        """Whom a token is about.

        Raises:
            NotAuthenticated: It does not hold.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise NotAuthenticated("the token is too long")
        digest = sha256(token).digest()  # the token itself is a secret, and is not kept
        with self._lock:
            known = self._known.get(digest)
        if known is not None:
            return known
        subject = self._read(self._verified(token))
        with self._lock:
            self._known[digest] = subject
        return subject

    def _verified(self, token: bytes) -> Mapping[str, Any]:
        """The claims of a token that holds."""
        section = self._section
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.find(header.get("alg"), header.get("kid"))
            if key is None or "crit" in header:
                raise NotAuthenticated("the token is not signed in a way that is accepted here")
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # the key's, whatever the token says
                audience=section.audience,
                issuer=section.issuer,
                leeway=section.leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise NotAuthenticated("the token is not valid yet") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError):
            raise NotAuthenticated("the token is not for this service: see its iss, aud and exp") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise NotAuthenticated("the token is not valid") from None

    def _read(self, claims: Mapping[str, Any]) -> Subject:
        admin = self._is_admin(claims)
        user = _claim(claims, self._section.user_claim)
        if user is not None or not admin:
            try:
                check_id(user, "user")
            except InvalidRequest:
                raise NotAuthenticated("the token names no user") from None
        try:
            return Subject(user, admin, float(claims["exp"]))
        except OverflowError:
            raise NotAuthenticated("the token is not valid") from None

    def _is_admin(self, claims: Mapping[str, Any]) -> bool:
        name, wanted = self._section.admin_claim, self._section.admin_value
        if not name:
            return False
        found = _claim(claims, name)
        if not wanted:
            return found is True
        if isinstance(found, str):
            return found == wanted or (name == _SPACED and wanted in found.split(" "))
        return isinstance(found, list) and wanted in found


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, else by the path that dots make of it, such as ``realm_access.roles``; None without one."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _until(_digest: bytes, subject: Subject, now: float) -> float:
    return min(now + REMEMBERED_SECONDS, subject.expires)
