"""API keys: a file with their digests, and the users that each stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, field_validator

from router_memory.config.document import parse_yaml
from router_memory.config.problems import Problems
from router_memory.config.section import Section, problem
from router_memory.config.validate import validate
from router_memory.errors import ConfigError, InvalidRequest, NotAuthenticated
from router_memory.types.scope import check_id

__all__ = ["ApiKey", "ApiKeys"]

_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")
_ANYBODY = "*"
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What one key allows.

    Attributes:
        digest: SHA-256 of the key.
        users: Whom it stands for; ``None`` for anybody.
        admin: Whether it is an operator's.
        expires: When it ends, in seconds since 1970.
    """

    digest: bytes
    users: tuple[str, ...] | None
    admin: bool
    expires: float

    def user(self, named: str | None) -> str | None:
        """The user a request is for; ``None`` if the key leaves it open and the request does not say.

        Args:
            named: What the user header says.

        Raises:
            NotAuthenticated: The key does not stand for the user that is named.
        """
        if named is None:
            return self.users[0] if self.users is not None and len(self.users) == 1 else None
        if self.admin or self.users is None or named in self.users:
            return named
        raise NotAuthenticated("this API key does not stand for the user that the request names")


class ApiKeys:
    """The keys of one file.

    Args:
        keys: Each with another digest.
        clock: Seconds since 1970.
    """

    __slots__ = ("_by_digest", "_clock")

    def __init__(self, keys: tuple[ApiKey, ...], clock: Callable[[], float]) -> None:
        self._by_digest: Mapping[bytes, ApiKey] = {key.digest: key for key in keys}
        self._clock = clock

    @classmethod
    def read(cls, path: Path, content: bytes, clock: Callable[[], float]) -> Self:
        """The keys in a file, a list in YAML or JSON.

        Args:
            path: For messages; ``.json`` at its end makes it JSON.
            content: What stands in it.
            clock: Seconds since 1970.

        Raises:
            ConfigError: It is no such list; names the entry. A key is never shown.
        """
        found = _parsed(path, content)
        if not isinstance(found, list):
            raise ConfigError("is not a list of API keys", file=str(path), hint="docs/identity.md shows one")
        problems = Problems(str(path))
        keys: dict[bytes, ApiKey] = {}
        for index, value in enumerate(found):
            entry = validate(_Entry, value if isinstance(value, Mapping) else _NO_MAPPING, f"[{index}]", problems)
            problems.raise_first()
            entry.check(f"[{index}]", problems)
            problems.raise_first()
            key = entry.key()
            if key.digest in keys:
                raise ConfigError(
                    "is the key of another entry already", file=str(path), key_path=f"[{index}].key_sha256"
                )
            keys[key.digest] = key
        return cls(tuple(keys.values()), clock)

    def __len__(self) -> int:
        return len(self._by_digest)

    def knows(self, secret: bytes) -> bool:
        """Whether it is a key of the file, expired or not."""
        return self._find(secret) is not None

    def key(self, secret: bytes) -> ApiKey:
        """The entry of a key.

        Raises:
            NotAuthenticated: There is none, or the key has expired.
        """
        found = self._find(secret)
        if found is None:
            raise NotAuthenticated("the API key is not known")
        if found.expires <= self._clock():
            raise NotAuthenticated("the API key has expired")
        return found

    def _find(self, secret: bytes) -> ApiKey | None:
        # How long a look into the table takes depends on a digest that nobody can choose bit by bit.
        digest = sha256(secret).digest()
        found = self._by_digest.get(digest)
        return found if found is not None and compare_digest(found.digest, digest) else None


class _Entry(Section):
    """One key as the file has it."""

    key_sha256: SecretStr = SecretStr("")  # kept from messages: somebody will write the key itself here
    users: tuple[str, ...] = ()
    admin: bool = False
    name: str = ""
    expires: str = ""

    @field_validator("users")
    @classmethod
    def _users(cls, users: tuple[str, ...]) -> tuple[str, ...]:
        for index, user in enumerate(users):
            try:
                check_id(user, "user")
            except InvalidRequest as error:
                raise problem(error.message, key=f"[{index}]") from None
            if user == _ANYBODY and len(users) > 1:
                raise problem("stands for every user, so no other can be named beside it", key=f"[{index}]")
        return users

    @field_validator("expires")
    @classmethod
    def _expires(cls, text: str) -> str:
        if text and _moment(text) is None:
            raise problem("is not a day or a time with its zone", hint="such as 2027-01-31 or 2027-01-31T18:00:00Z")
        return text

    def check(self, place: str, problems: Problems) -> None:
        """Adds what is missing to `problems`."""
        text = self.key_sha256.get_secret_value()
        if not _DIGEST.fullmatch(text):
            hint = 'printf %s "$KEY" | sha256sum'
            problems.add(f"{place}.key_sha256", "must be the SHA-256 of the key in 64 hexadecimal digits", hint)
        elif bytes.fromhex(text) == sha256(b"").digest():
            problems.add(f"{place}.key_sha256", "is the digest of an empty key")
        if not self.users and not self.admin:
            problems.add(f"{place}.users", "names nobody", 'list the users that the key stands for, or ["*"]')

    def key(self) -> ApiKey:
        """What the entry allows."""
        users = None if self.users == (_ANYBODY,) else self.users
        expires = _moment(self.expires) if self.expires else None
        digest = bytes.fromhex(self.key_sha256.get_secret_value())
        return ApiKey(digest, users, self.admin, _NEVER if expires is None else expires)


_NO_MAPPING: Any = ()  # what `validate` refuses as no mapping; it takes None for an empty one


def _moment(text: str) -> float | None:
    """Seconds since 1970 of a day, at its first moment in UTC, or of a time with its zone; None for neither."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    if found.tzinfo is None:
        if len(text) > len("2027-01-31"):
            return None
        found = found.replace(tzinfo=UTC)
    return found.timestamp()


def _parsed(path: Path, content: bytes) -> object:
    if path.suffix.lower() != ".json":
        return parse_yaml(path, content)
    try:
        return json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):
        raise ConfigError("is not valid JSON, or holds a member twice", file=str(path)) from None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """As in YAML, a member that stands twice is an error: people read the first, a parser takes the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found
