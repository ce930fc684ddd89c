"""The section `service.auth`: whose word the service takes for who is asking."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from router_memory.config.section import Section, check_header_secret, check_one_source, check_path, problem

__all__ = ["Algorithm", "AuthSection", "JwtSection", "Mode"]

Mode = Literal["header", "jwt", "api_key", "development"]

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # signatures that need a private key; what a shared secret or nobody signs is not to be had


class JwtSection(Section):
    """Which JSON web tokens count, and what they say."""

    issuer: str = ""
    audience: str = ""
    jwks_file: str = ""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    user_claim: str = "sub"
    admin_claim: str = ""
    admin_value: str = ""
    leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30

    @field_validator("jwks_file")
    @classmethod
    def _path(cls, path: str) -> str:
        check_path(path)
        return path

    @field_validator("algorithms")
    @classmethod
    def _algorithms(cls, algorithms: tuple[Algorithm, ...]) -> tuple[Algorithm, ...]:
        if not algorithms:
            raise problem("must name at least one algorithm")
        return algorithms

    @model_validator(mode="after")
    def _claims(self) -> Self:
        if not self.user_claim:
            raise problem("is empty", hint="sub is the usual one", key=".user_claim")
        if self.admin_value and not self.admin_claim:
            raise problem("has no effect without admin_claim", key=".admin_value")
        return self


class AuthSection(Section):
    """How callers are known."""

    modes: tuple[Mode, ...] = ("header",)
    admin_key: SecretStr = SecretStr("")
    admin_key_file: str = ""
    api_keys_file: str = ""
    trusted_peers: tuple[str, ...] = ()
    anonymous_chats: bool = False
    jwt: JwtSection = JwtSection()

    @field_validator("modes")
    @classmethod
    def _modes(cls, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if not modes:
            raise problem("must name at least one mode")
        return modes

    @field_validator("admin_key")
    @classmethod
    def _admin_key(cls, secret: SecretStr) -> SecretStr:
        check_header_secret(secret)
        return secret

    @field_validator("admin_key_file", "api_keys_file")
    @classmethod
    def _path(cls, path: str) -> str:
        check_path(path)
        return path

    @field_validator("trusted_peers")
    @classmethod
    def _peers(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        for index, peer in enumerate(peers):
            _check_network(peer, f"[{index}]")
        return peers

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        check_one_source(self, "admin_key")
        return self


def _check_network(text: str, key: str) -> None:
    try:
        ip_network(text)
        return
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise problem("is not an address or a network", hint="such as 10.0.0.0/8 or ::1", key=key) from None
    raise problem("names one host of a network", hint=f"did you mean {meant}?", key=key)
