"""The section `service`: what `router-memory serve` listens on, passes on to, and lets through."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from router_memory.config.auth import AuthSection
from router_memory.config.headers import check_host, header_name
from router_memory.config.section import Section, check_header_secret, check_one_source, check_path, problem

__all__ = ["LimitsSection", "ModelAlias", "ServiceSection", "TelemetrySection", "UpstreamSection"]

Timeout = Annotated[float, Field(ge=0.01, le=86_400)]


class ModelAlias(Section):
    """A name that clients may ask for in place of a model."""

    name: str = ""
    decision: str = ""
    upstream_model: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name.strip():
            raise problem("is missing: what clients write as `model`", key=".name")
        return self


class UpstreamSection(Section):
    """The OpenAI-compatible server that chats are passed on to."""

    url: str = ""
    api_key: SecretStr = SecretStr("")
    api_key_file: str = ""
    connect_timeout: Timeout = 5.0
    timeout: Timeout = 600.0
    max_connections: Annotated[int, Field(ge=1, le=65_535)] = 1024
    tls_ca_path: str = ""

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        if url:
            _check_url(url)
        return url.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _api_key(cls, secret: SecretStr) -> SecretStr:
        check_header_secret(secret)
        return secret

    @field_validator("api_key_file", "tls_ca_path")
    @classmethod
    def _path(cls, path: str) -> str:
        check_path(path)
        return path

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        check_one_source(self, "api_key")
        return self


def _check_url(url: str) -> None:
    hint = "such as http://localhost:8000/v1"  # the value is not shown: it may hold a password
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise problem("is not a URL", hint=hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise problem("is not an http:// or https:// URL", hint=hint)
    if parts.username is not None or parts.password is not None:
        raise problem("must not hold a user or a password", hint="set api_key or api_key_file")
    if parts.query or parts.fragment or not url.isprintable() or " " in url:
        raise problem("must end with the path, without blanks", hint=hint)


class LimitsSection(Section):
    """What one process takes on at a time."""

    body_mb: Annotated[int, Field(ge=1, le=1024)] = 32
    concurrency: Annotated[int, Field(ge=1, le=1_000_000)] = 1024
    per_user_concurrency: Annotated[int, Field(ge=1, le=1_000_000)] = 64
    requests_per_second: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0
    burst: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    read_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 30.0


class TelemetrySection(Section):
    """What the service says of itself."""

    log_format: Literal["json", "text"] = "json"
    access_log: bool = True
    tracing: bool = False


class ServiceSection(Section):
    """Everything about the service; the library does not read it."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    decision_header: str = "x-vsr-selected-decision"
    default_decision: str = ""
    project_header: str = "x-project-id"
    conversation_header: str = "x-conversation-id"
    models: tuple[ModelAlias, ...] = ()
    upstream: UpstreamSection = UpstreamSection()
    auth: AuthSection = AuthSection()
    limits: LimitsSection = LimitsSection()
    mcp: bool = True
    ui: bool = True
    telemetry: TelemetrySection = TelemetrySection()

    @field_validator("host")
    @classmethod
    def _host(cls, host: str) -> str:
        check_host(host)
        return host

    @field_validator("decision_header", "project_header", "conversation_header")
    @classmethod
    def _header(cls, name: str) -> str:
        return header_name(name)

    @field_validator("models")
    @classmethod
    def _differ(cls, models: tuple[ModelAlias, ...]) -> tuple[ModelAlias, ...]:
        seen: set[str] = set()
        for index, alias in enumerate(models):
            if alias.name in seen:
                raise problem("is the name of another entry already", key=f"[{index}].name")
            seen.add(alias.name)
        return models
