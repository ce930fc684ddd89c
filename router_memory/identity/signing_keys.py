"""The public keys that tokens are verified with: a JWKS file (RFC 7517), read once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jwt

from router_memory.errors import ConfigError, MissingExtra

__all__ = ["SigningKeys"]

_KEY = "global.stores.memory.service.auth.jwt.jwks_file"
_HINT = "put the issuer's JWKS there, or name another file"
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_CURVE = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
_LEAST_RSA_BITS = 2048  # RFC 7518 §3.3
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi")  # members that only a private key has


class SigningKeys:
    """The keys of one file, each bound to the algorithms it is for.

    Args:
        keys: By the algorithm and the key's id, which is empty where the file gives none.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Mapping[tuple[str, str], jwt.PyJWK]) -> None:
        self._keys = dict(keys)

    @classmethod
    def read(cls, path: Path, content: bytes, algorithms: Sequence[str]) -> Self:
        """The keys in a file that fit the algorithms. Others, of which encryption keys are some, are passed over.

        Args:
            path: For messages.
            content: What stands in it.
            algorithms: Those that are allowed.

        Raises:
            ConfigError: It is no JWKS, holds a private or a weak key, or none that fits.
            MissingExtra: The library for signatures is not installed.
        """
        keys: dict[tuple[str, str], jwt.PyJWK] = {}
        for index, data in enumerate(_listed(path, content)):
            _check_members(data, path, index)
            for algorithm in _algorithms(data, algorithms):
                place = (algorithm, data.get("kid") or "")
                if place in keys:
                    raise ConfigError(
                        "has the kid of another key for the same algorithm", file=str(path), key_path=f"keys[{index}]"
                    )
                keys[place] = _key(data, algorithm, path, index)
        if not keys:
            raise ConfigError(
                f"has no signing key for {', '.join(algorithms)}", file=str(path), hint="see auth.jwt.algorithms"
            )
        return cls(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, algorithm: object, kid: object) -> jwt.PyJWK | None:
        """The key that a token must be signed with; ``None`` where it cannot be told.

        Args:
            algorithm: What the token's header says.
            kid: The same; ``None`` if it names no key, which will do where only one key could be meant.
        """
        if not isinstance(algorithm, str):
            return None
        if kid is None:
            fitting = [key for (name, _), key in self._keys.items() if name == algorithm]
            return fitting[0] if len(fitting) == 1 else None
        return self._keys.get((algorithm, kid)) if isinstance(kid, str) and kid else None


def _listed(path: Path, content: bytes) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ConfigError("is not valid JSON", file=str(path), key_path=_KEY, hint=_HINT) from None
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ConfigError('is no JWKS: {"keys": [...]}', file=str(path), key_path=_KEY, hint=_HINT)
    return keys


def _check_members(data: Mapping[str, Any], path: Path, index: int) -> None:
    place = f"keys[{index}]"
    if any(member in data for member in _PRIVATE):
        raise ConfigError("is a private key", file=str(path), key_path=place, hint="only public keys belong here")
    if not isinstance(data.get("kid", ""), str):
        raise ConfigError("has a kid that is not a string", file=str(path), key_path=place)
    if not isinstance(data.get("key_ops", []), list):
        raise ConfigError("has key_ops that are not a list", file=str(path), key_path=place)


def _algorithms(data: Mapping[str, Any], allowed: Sequence[str]) -> list[str]:
    """Those of the allowed algorithms that a key verifies; a key that says which one verifies no other."""
    if data.get("use", "sig") != "sig" or "verify" not in (data.get("key_ops") or ["verify"]):
        return []
    if data.get("kty") == "RSA":
        possible: tuple[str, ...] = _RSA
    else:
        possible = tuple(name for curve, name in _BY_CURVE.items() if curve == data.get("crv"))
    return [name for name in allowed if name in possible and data.get("alg", name) == name]


def _key(data: Mapping[str, Any], algorithm: str, path: Path, index: int) -> jwt.PyJWK:
    place = f"keys[{index}]"
    try:
        key = jwt.PyJWK(dict(data), algorithm)
    except jwt.exceptions.MissingCryptographyError:
        raise MissingExtra("auth.modes: jwt", extra="server") from None
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError):
        raise ConfigError("is not a usable key", file=str(path), key_path=place) from None
    if getattr(key.key, "key_size", _LEAST_RSA_BITS) < _LEAST_RSA_BITS and algorithm in _RSA:
        raise ConfigError(
            f"is too short, RSA keys have at least {_LEAST_RSA_BITS} bits", file=str(path), key_path=place
        )
    return key
