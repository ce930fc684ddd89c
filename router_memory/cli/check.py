"""`config check`: what a configuration file comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from router_memory.cli import options as opt
from router_memory.cli.check_service import service_rows, service_warnings
from router_memory.cli.output import console, emit_json, one_line, printable, safe
from router_memory.errors import InvalidRequest
from router_memory.plugin.describe import describe
from router_memory.types import DecisionPolicy, ReflectionAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router_memory.config import Config
    from router_memory.config.servers import RedisCacheSection, ValkeySection

__all__ = ["check"]

_Option = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The same as the argument.")]
_COLUMNS = 3
"""Decisions side by side; more of them go into further tables."""


def check(
    context: typer.Context, file: opt.ConfigFile = None, config_file: _Option = None, as_json: opt.Json = False
) -> None:
    """Checks a configuration file and prints what it means for each decision."""
    from router_memory.config import load_config

    config = load_config(_chosen(context, file, config_file))
    warnings = [*config.warnings, *service_warnings(config)]
    if as_json:
        emit_json(_described(config, warnings))
    else:
        console().print(_view(config, warnings))


def _chosen(context: typer.Context, file: Path | None, config_file: Path | None) -> Path:
    """The file that is named, either way; else that of the environment.

    Raises:
        InvalidRequest: None is named, or two are.
    """
    source = context.get_parameter_source("file")
    if config_file is not None and source is not None and source.name == "COMMANDLINE":
        raise InvalidRequest("name the file once: as the argument or with --config", field="config")
    chosen = config_file or file
    if chosen is None:
        raise InvalidRequest("FILE is missing: the configuration file to check", field="file")
    return chosen


def _described(config: Config, warnings: Sequence[str]) -> Mapping[str, Any]:
    """The configuration in force, without secrets."""
    return {
        "file": config.file,
        "store": dict(_store(config)),
        "write": describe(config.write_policy),
        "globals": describe(config.policy(None)),
        "decisions": {name: describe(config.policy(name)) for name in config.decisions},
        "service": dict(service_rows(config)),
        "warnings": list(warnings),
    }


def _store(config: Config) -> list[tuple[str, Any]]:
    memory = config.memory
    rows: list[tuple[str, Any]] = [("backend", config.backend)]
    if config.backend == "embedded" and config.any_enabled:
        rows.append(("data", str(config.data_path)))
    if config.backend == "valkey":
        rows += _server(memory.valkey)
    rows += [
        ("cache", _cache(memory.redis_cache)),
        ("embedding_model", memory.embedding_model),
        ("deadline_ms", memory.deadline_ms),
        ("user_header", config.identity.user_header),
        ("opt_out_header", config.identity.opt_out_header),
        ("disabled_routes", sorted(config.disabled_routes)),
        ("disabled_models", sorted(config.disabled_models)),
    ]
    return rows


def _server(valkey: ValkeySection) -> list[tuple[str, Any]]:
    addresses = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in valkey.servers]
    return [
        ("cluster" if valkey.cluster else "server", addresses),
        ("database", valkey.database),
        ("encrypted", valkey.tls_enabled),
        ("prefix", valkey.collection_prefix),
        ("index", f"{valkey.index_name} ({valkey.index_type})"),
    ]


def _cache(cache: RedisCacheSection) -> str:
    if not cache.enabled:
        return "off"
    levels = [f"level 1 of {cache.local_mb:,} MiB"] if cache.local_mb else []
    levels += [f"level 2 on {cache.address}/{cache.db}"] if cache.server else []
    return f"{cache.coherence}, {' and '.join(levels)}"


def _view(config: Config, warnings: Sequence[str]) -> RenderableType:
    parts: list[RenderableType] = [Text.assemble(("valid ", "bold green"), printable(config.file)), Text()]
    parts.append(_rows([*_store(config), ("remembers", sorted(config.write_policy.roles))]))
    service = service_rows(config)
    parts += [Text("\nservice", style="bold"), _rows(service)] if service else []
    base = config.policy(None)
    names = list(config.decisions)
    for start in range(0, max(len(names), 1), _COLUMNS):
        policies = [config.policy(name) for name in names[start : start + _COLUMNS]]
        parts += [Text(), _policies(base, policies)]
    if names:
        parts.append(Text("bold: differs from the globals", style="dim"))
    parts += [Text.assemble(("\nwarning ", "bold yellow"), printable(warning)) for warning in warnings]
    return Group(*parts)


def _rows(values: Sequence[tuple[str, Any]]) -> Table:
    rows = Table.grid(padding=(0, 2))
    for key, value in values:
        shown = _yes(value) if isinstance(value, bool) else str(value)
        if isinstance(value, list):
            shown = ", ".join(map(str, value)) or "none"
        rows.add_row(Text(key.replace("_", " "), style="dim"), safe(shown))
    return rows


def _policies(base: DecisionPolicy, policies: Sequence[DecisionPolicy]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("globals", overflow="fold")
    for policy in policies:
        table.add_column(safe(one_line(policy.decision or "")), overflow="fold")
    columns = [_values(policy) for policy in policies]
    for key, value in _values(base).items():
        cells = [safe(column[key], "" if column[key] == value else "bold") for column in columns]
        table.add_row(Text(key, style="dim"), safe(value), *cells)
    return table


def _values(policy: DecisionPolicy) -> dict[str, str]:
    recall, reflection = policy.recall, policy.reflection
    filters = reflection.algorithm is not ReflectionAlgorithm.NOOP
    return {
        "reads": _yes(policy.enabled),
        "stores": _yes(policy.auto_store),
        "limit": str(recall.limit),
        "threshold": f"{recall.threshold:.2f}",
        "ranking": recall.mode.value,
        "cut-off": recall.cutoff.value,
        "filters": reflection.algorithm.value,
        "token budget": f"{reflection.max_inject_tokens:,}" if filters else "none",
        "recency half-life": f"{reflection.recency_decay_days:g} days" if filters else "none",
        "near-duplicate from": f"{reflection.dedup_threshold:.2f}" if filters else "none",
        "block patterns": str(len(reflection.block_patterns)),
        "injected as": policy.inject.role,
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"
