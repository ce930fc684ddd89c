"""Short ways to ask an authenticator, and the keys and tokens to ask it with."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from router_memory.config import Config, load_config
from router_memory.identity import Authenticator, Caller

ISSUER, AUDIENCE = "https://issuer.example", "router-memory"
USER = "x-authz-user-id"

Headers = Mapping[str, str | bytes | list[str]]


def config(auth: Mapping[str, Any] | None = None, *, host: str = "127.0.0.1") -> Config:
    """A configuration with this `service.auth`."""
    section = {"enabled": True, "service": {"host": host, "auth": dict(auth or {})}}
    return load_config({"global": {"stores": {"memory": section}}}, environ={"HOME": "/home/somebody"})


def raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI gives them; a list of values is a header that stands there as often."""
    pairs = [
        (name, each) for name, value in headers.items() for each in (value if isinstance(value, list) else [value])
    ]
    return [(name.encode(), each if isinstance(each, bytes) else each.encode()) for name, each in pairs]


def ask(authenticator: Authenticator, headers: Headers | None = None, **where: Any) -> Caller:
    """Who asks with these headers."""
    return authenticator.identify(raw(headers or {}), **where)


def key_file(folder: Path, *entries: Mapping[str, Any]) -> str:
    """A file of API keys; `key` in an entry stands for its digest."""
    found = [
        {**{name: value for name, value in entry.items() if name != "key"}, "key_sha256": digest(entry["key"])}
        if "key" in entry
        else entry
        for entry in entries
    ]
    path = folder / "keys.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    return str(path)


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


@cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """One key for each name: making them is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(name: str = "first") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str = "first") -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    """The public half of a key as a JWKS has it."""
    algorithm: Any
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm = jwt.algorithms.RSAAlgorithm
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = jwt.algorithms.ECAlgorithm
    else:
        algorithm = jwt.algorithms.OKPAlgorithm
    plain = algorithm.to_jwk(key.public_key(), as_dict=True)
    plain.pop("key_ops", None)
    found = {**plain, "kid": "one", "use": "sig", **members}
    return {name: value for name, value in found.items() if value is not None}


def jwks_file(folder: Path, *keys: Mapping[str, Any]) -> str:
    path = folder / "jwks.json"
    path.write_text(json.dumps({"keys": list(keys)}), encoding="utf-8")
    return str(path)


def claims(**changed: Any) -> dict[str, Any]:
    """Good claims with some changed; None takes one away."""
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "nbf": now, "exp": now + 3600, **changed}
    return {name: value for name, value in found.items() if value is not None}


def token(
    key: Any = None,
    algorithm: str = "RS256",
    *,
    kid: str | None = "one",
    head: Mapping[str, Any] | None = None,
    **changed: Any,
) -> str:
    """A token, by default a good one of alice."""
    headers = {**({"kid": kid} if kid is not None else {}), **(head or {})}
    return jwt.encode(claims(**changed), rsa_key() if key is None else key, algorithm, headers=headers)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def jwt_auth(folder: Path, *keys: Mapping[str, Any], **section: Any) -> dict[str, Any]:
    """A `service.auth` that takes tokens of these keys; by default of the first RSA key."""
    path = jwks_file(folder, *(keys or (jwk(rsa_key(), alg="RS256"),)))
    return {"modes": ["jwt"], "jwt": {"issuer": ISSUER, "audience": AUDIENCE, "jwks_file": path, **section}}
