"""`Config`: what a configuration file came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from router_memory.config.model import IdentitySection, MemorySection
from router_memory.config.own import MEMORY_PATH
from router_memory.config.places import Places
from router_memory.config.section import is_header_secret
from router_memory.config.service import ServiceSection
from router_memory.errors import ConfigError
from router_memory.types import DecisionPolicy, WritePolicy

if TYPE_CHECKING:
    from pydantic import SecretStr

    from router_memory.config.servers import ServerSection

__all__ = ["TLS_KEYS", "Config", "Server"]

Server = Literal["valkey", "redis_cache"]
TlsKey = Literal["tls_ca_path", "client_cert_path", "client_key_path"]
AuthFile = Literal["api_keys_file", "jwt.jwks_file"]

TLS_KEYS: tuple[TlsKey, ...] = get_args(TlsKey)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that was found valid. Immutable; made by `load_config`.

    Attributes:
        file: Path of the file, ``<dict>`` or ``<defaults>``.
        memory: The section `global.stores.memory`, with its defaults.
        write_policy: What is remembered of a turn.
        warnings: What loads and will surprise somebody, one sentence each.
    """

    file: str
    memory: MemorySection
    write_policy: WritePolicy
    warnings: tuple[str, ...]
    _places: Places = field(repr=False)
    _policies: Mapping[str | None, DecisionPolicy] = field(repr=False)

    def policy(self, decision: str | None = None) -> DecisionPolicy:
        """What a decision asks of memory; the globals for None and for a decision the file does not have."""
        return self._policies.get(decision) or self._policies[None]

    def knows(self, decision: str | None) -> bool:
        """Whether the file has this decision, with a memory plugin or without; None, the globals, is known."""
        return decision in self._policies

    @property
    def decisions(self) -> tuple[str, ...]:
        """The names of the decisions, in the file's order."""
        return tuple(name for name in self._policies if name is not None)

    @property
    def any_enabled(self) -> bool:
        """Whether the globals or any decision need the store."""
        return any(policy.enabled for policy in self._policies.values())

    @property
    def backend(self) -> str:
        """Name of the store's backend, never empty."""
        return self.memory.backend or "embedded"

    @property
    def disabled_routes(self) -> frozenset[str]:
        """Request paths that neither read nor write memory."""
        return frozenset(self.memory.disabled_routes)

    @property
    def disabled_models(self) -> frozenset[str]:
        """Models that neither read nor write memory."""
        return frozenset(self.memory.disabled_models)

    @property
    def identity(self) -> IdentitySection:
        """The request headers, in lower case, that say whose memory it is."""
        return self.memory.identity

    @property
    def service(self) -> ServiceSection:
        """What `router-memory serve` goes by."""
        return self.memory.service

    @property
    def data_path(self) -> Path:
        """The embedded store's file, absolute.

        Raises:
            ConfigError: There is no home folder to put it in.
        """
        return self._places.data_file(self.memory.embedded.path, f"{MEMORY_PATH}.embedded.path")

    @property
    def model_cache(self) -> Path | None:
        """Where exported models are kept, absolute; ``None`` for the user's cache folder.

        Raises:
            ConfigError: The path starts at a home folder that does not exist.
        """
        text = self.memory.embedding.cache_dir
        return self._places.path(text, f"{MEMORY_PATH}.embedding.cache_dir") if text else None

    def password(self, server: Server) -> SecretStr | None:
        """The password of a server, read now when it is in a file; None when it has none.

        Raises:
            ConfigError: The file is missing, unreadable or empty.
        """
        section = self._server(server)
        return self._secret(section.password, section.password_file, f"{server}.password_file")

    def tls_path(self, server: Server, key: TlsKey) -> Path | None:
        """The absolute path of a certificate or key file; None when it is not set."""
        section = self._server(server)
        text: str = getattr(section, key)
        return self._places.path(text, f"{MEMORY_PATH}.{server}.{key}") if text else None

    def tls_pem(self, server: Server, key: TlsKey) -> bytes | None:
        """What stands in a certificate or key file, read now; None when it is not set.

        Raises:
            ConfigError: The file is missing, unreadable or no PEM file.
        """
        section = self._server(server)
        text: str = getattr(section, key)
        return self._places.pem(text, f"{MEMORY_PATH}.{server}.{key}") if text else None

    def admin_key(self) -> SecretStr | None:
        """The operators' key of the service, read now when it is in a file; None when there is none.

        Raises:
            ConfigError: The file is missing, unreadable or empty, or the key cannot be sent in a header.
        """
        auth = self.service.auth
        return self._header_secret(auth.admin_key, auth.admin_key_file, "service.auth.admin_key_file")

    def upstream_key(self) -> SecretStr | None:
        """The key for the upstream, read now when it is in a file; None when there is none.

        Raises:
            ConfigError: As `admin_key`.
        """
        upstream = self.service.upstream
        return self._header_secret(upstream.api_key, upstream.api_key_file, "service.upstream.api_key_file")

    def upstream_ca(self) -> bytes | None:
        """The PEM of the authority that the upstream's certificate comes from, read now; None for the system's.

        Raises:
            ConfigError: The file is missing, unreadable or no PEM file.
        """
        text = self.service.upstream.tls_ca_path
        return self._places.pem(text, f"{MEMORY_PATH}.service.upstream.tls_ca_path") if text else None

    def auth_file(self, key: AuthFile) -> tuple[Path, bytes]:
        """The absolute path of a file that says who may ask, and what stands in it now.

        Raises:
            ConfigError: The file is missing or unreadable.
        """
        auth = self.service.auth
        text = auth.api_keys_file if key == "api_keys_file" else auth.jwt.jwks_file
        return self._places.content(text, f"{MEMORY_PATH}.service.auth.{key}")

    def _secret(self, inline: SecretStr, file: str, key: str) -> SecretStr | None:
        if file:
            return self._places.secret(file, f"{MEMORY_PATH}.{key}")
        return inline if inline.get_secret_value() else None

    def _header_secret(self, inline: SecretStr, file: str, key: str) -> SecretStr | None:
        secret = self._secret(inline, file, key)
        if secret is not None and not is_header_secret(secret):
            message = "holds more than printable ASCII without blanks, which no header can carry"
            raise ConfigError(message, file=self.file, key_path=f"{MEMORY_PATH}.{key}")
        return secret

    def _server(self, server: Server) -> ServerSection:
        return self.memory.valkey if server == "valkey" else self.memory.redis_cache
