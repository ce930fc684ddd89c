"""Loads a configuration: read, find our sections, expand, validate, check, resolve."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from router_memory.config.checks import check_sections, collect_warnings
from router_memory.config.document import parse_document, read_document
from router_memory.config.env import expand
from router_memory.config.loaded import TLS_KEYS, Config, Server
from router_memory.config.model import MemorySection
from router_memory.config.own import MEMORY_PATH, OwnSections, PluginEntry, find_own_sections
from router_memory.config.places import Places
from router_memory.config.plugin_model import PluginSection
from router_memory.config.problems import Problems
from router_memory.config.resolve import resolve_policy, resolve_write_policy
from router_memory.config.validate import validate
from router_memory.types import DecisionPolicy

__all__ = ["Config", "load_config"]

_WITHOUT_SOURCE: Mapping[Any, object] = {"global": {"stores": {"memory": {"enabled": True}}}}


def load_config(
    source: str | Path | Mapping[str, object] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    content: bytes | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Loads and checks a configuration.

    Args:
        source: Path of a YAML file, or what such a file holds. None gives the defaults with memory enabled.
        environ: What ``${NAME}`` refers to; the environment of the process when None.
        content: What was read from the file before; it is not read again then.
        overrides: What counts in place of values of the memory section, by path below it, such as ``service.port``.

    Raises:
        ConfigError: The first problem, with file, key path and hint, and the number of the others.
    """
    env = os.environ if environ is None else environ
    file, folder, document = _document(source, content)
    problems = Problems(file)
    try:
        own = _own(document, env, problems)
        own = replace(own, memory=_overridden(own.memory, overrides or {}))
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


def _document(
    source: str | Path | Mapping[str, object] | None, content: bytes | None
) -> tuple[str, Path, Mapping[Any, object]]:
    """Name for messages, folder of relative paths, and content."""
    if source is None:
        return "<defaults>", Path.cwd(), _WITHOUT_SOURCE
    if isinstance(source, Mapping):
        return "<dict>", Path.cwd(), source
    path = Path(source)
    document = read_document(path) if content is None else parse_document(path, content)
    return str(path), path.absolute().parent, document


def _overridden(section: object, overrides: Mapping[str, object]) -> object:
    """The section with other values in it; one of the wrong shape is left for the validation to say so."""
    for path, value in overrides.items():
        section = _with(section, path.split("."), value)
    return section


def _with(section: object, keys: Sequence[str], value: object) -> object:
    if not keys:
        return value
    if section is not None and not isinstance(section, Mapping):
        return section
    inside = section or {}
    return {**inside, keys[0]: _with(inside.get(keys[0]), keys[1:], value)}


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


def _check_server_files(config: Config, server: Server, *, tls: bool) -> None:
    config.password(server)
    for key in TLS_KEYS if tls else ():
        config.tls_pem(server, key)
