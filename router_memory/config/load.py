"""Loads a configuration: read, find our sections, expand, validate, check, resolve."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from router_memory.config.checks import check_sections, collect_warnings
from router_memory.config.document import read_document
from router_memory.config.env import expand
from router_memory.config.model import IdentitySection, MemorySection
from router_memory.config.own import MEMORY_PATH, OwnSections, PluginEntry, find_own_sections
from router_memory.config.places import Places
from router_memory.config.plugin_model import PluginSection
from router_memory.config.problems import Problems
from router_memory.config.resolve import resolve_policy, resolve_write_policy
from router_memory.config.validate import validate
from router_memory.types import DecisionPolicy, WritePolicy

if TYPE_CHECKING:
    from pydantic import SecretStr

    from router_memory.config.servers import ServerSection

__all__ = ["Config", "load_config"]

_WITHOUT_SOURCE: Mapping[Any, object] = {"global": {"stores": {"memory": {"enabled": True}}}}


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

    def password(self, server: _Server) -> SecretStr | None:
        """The password of a server, read now when it is in a file; None when it has none.

        Raises:
            ConfigError: The file is missing, unreadable or empty.
        """
        section = self._server(server)
        if section.password_file:
            return self._places.secret(section.password_file, f"{MEMORY_PATH}.{server}.password_file")
        return section.password if section.password.get_secret_value() else None

    def tls_path(self, server: _Server, key: _TlsKey) -> Path | None:
        """The absolute path of a certificate or key file; None when it is not set."""
        section = self._server(server)
        text: str = getattr(section, key)
        return self._places.path(text, f"{MEMORY_PATH}.{server}.{key}") if text else None

    def tls_pem(self, server: _Server, key: _TlsKey) -> bytes | None:
        """What stands in a certificate or key file, read now; None when it is not set.

        Raises:
            ConfigError: The file is missing, unreadable or no PEM file.
        """
        section = self._server(server)
        text: str = getattr(section, key)
        return self._places.pem(text, f"{MEMORY_PATH}.{server}.{key}") if text else None

    def _server(self, server: _Server) -> ServerSection:
        return self.memory.valkey if server == "valkey" else self.memory.redis_cache


_Server = Literal["valkey", "redis_cache"]
_TlsKey = Literal["tls_ca_path", "client_cert_path", "client_key_path"]
_TLS_KEYS: tuple[_TlsKey, ...] = get_args(_TlsKey)


def load_config(
    source: str | Path | Mapping[str, object] | None = None, *, environ: Mapping[str, str] | None = None
) -> Config:
    """Loads and checks a configuration.

    Args:
        source: Path of a YAML file, or what such a file holds. None gives the defaults with memory enabled.
        environ: What ``${NAME}`` refers to; the environment of the process when None.

    Raises:
        ConfigError: The first problem, with file, key path and hint, and the number of the others.
    """
    env = os.environ if environ is None else environ
    file, folder, document = _document(source)
    problems = Problems(file)
    try:
        own = _own(document, env, problems)
    except RecursionError:
        problems.add("", "is nested too deeply, or holds itself")
    problems.raise_first()
    memory = validate(MemorySection, own.memory, MEMORY_PATH, problems)
    plugins = {
        entry.decision: validate(
            PluginSection, entry.configuration, entry.key_path, problems.of_decision(entry.decision)
        )
        for entry in own.plugins
    }
    problems.raise_first()
    check_sections(memory, problems)
    problems.raise_first()
    config = _config(file, memory, own.decisions, plugins, Places.of(file, folder, env))
    _check_files(config)
    return config


def _document(source: str | Path | Mapping[str, object] | None) -> tuple[str, Path, Mapping[Any, object]]:
    """Name for messages, folder of relative paths, and content."""
    if source is None:
        return "<defaults>", Path.cwd(), _WITHOUT_SOURCE
    if isinstance(source, Mapping):
        return "<dict>", Path.cwd(), source
    path = Path(source)
    return str(path), path.absolute().parent, read_document(path)


def _own(document: Mapping[Any, object], environ: Mapping[str, str], problems: Problems) -> OwnSections:
    """Our sections with the environment's values in them."""
    found = find_own_sections(document, problems)
    return OwnSections(
        memory=expand(found.memory, MEMORY_PATH, environ, problems),
        decisions=found.decisions,
        plugins=tuple(_expand_plugin(entry, environ, problems) for entry in found.plugins),
    )


def _expand_plugin(entry: PluginEntry, environ: Mapping[str, str], problems: Problems) -> PluginEntry:
    inside = problems.of_decision(entry.decision)
    return replace(entry, configuration=expand(entry.configuration, entry.key_path, environ, inside))


def _config(
    file: str, memory: MemorySection, decisions: tuple[str, ...], plugins: Mapping[str, PluginSection], places: Places
) -> Config:
    policies: dict[str | None, DecisionPolicy] = {None: resolve_policy(memory)}
    policies |= {name: resolve_policy(memory, name, plugins.get(name)) for name in decisions}
    warnings = collect_warnings(memory, plugins, policies)
    return Config(file, memory, resolve_write_policy(memory), warnings, places, MappingProxyType(policies))


def _check_files(config: Config) -> None:
    """Fails now rather than at the first request, for what is in use."""
    _ = config.model_cache
    if config.any_enabled and config.backend == "embedded":
        _ = config.data_path
    if config.backend == "valkey":
        _check_server_files(config, "valkey", tls=config.memory.valkey.tls_enabled)
    cache = config.memory.redis_cache
    if cache.enabled and cache.server:
        _check_server_files(config, "redis_cache", tls=cache.tls_enabled)


def _check_server_files(config: Config, server: _Server, *, tls: bool) -> None:
    config.password(server)
    for key in _TLS_KEYS if tls else ():
        config.tls_pem(server, key)
