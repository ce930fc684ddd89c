"""`serve`: the service, in a parent process and workers."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from router_memory.cli import options as opt
from router_memory.cli.output import one_line
from router_memory.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_memory.config import Config

__all__ = ["serve"]

_NEEDED = ("fastapi", "httptools", "httpx", "jwt", "prometheus_client", "uvicorn")
_DECISIONS_NAMED = 8


def serve(
    config: opt.Config = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="Name or address to listen on, for `service.host`.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", help="Port, for `service.port`; 0 takes a free one.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Worker processes, for `service.workers`.")
    ] = None,
    log_format: Annotated[
        Literal["json", "text"] | None,
        typer.Option("--log-format", metavar="FORMAT", help="Form of the log on standard error: json or text."),
    ] = None,
) -> None:
    """Serves memory over HTTP: the chat proxy, the memory and plugin APIs, MCP, metrics and the dashboard.

    SIGTERM or Ctrl-C ends it once requests under way are answered and turns are stored, a second one at once.
    SIGHUP loads the configuration anew.
    """
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise MissingExtra("router-memory serve", extra="server")
    from router_memory.serving.listening import bind, urls
    from router_memory.serving.material import Material
    from router_memory.serving.parent import Parent
    from router_memory.telemetry import configure_logging

    given = {"host": host, "port": port, "workers": workers, "telemetry.log_format": log_format}
    overrides = {f"service.{key}": value for key, value in given.items() if value is not None}
    material = Material.read(1, config, overrides)
    loaded = material.load()
    service = loaded.memory.service
    configure_logging(service.telemetry.log_format, access_log=service.telemetry.access_log)
    listeners = bind(service.host, service.port)
    where = " and ".join(urls(listeners))
    _say(f"listening on {where}; {_several(service.workers, 'worker')} to open the store and load the model")

    def announce(warnings: Sequence[str]) -> None:
        _say(_summary(loaded, where))
        for warning in warnings:
            _say(f"warning: {warning}")

    parent = Parent(material, loaded, listeners, say=_say)
    try:
        code = asyncio.run(parent.run(announce))
    finally:
        warnings.simplefilter("ignore")  # files of the metrics stay open to the end
    if code:
        raise typer.Exit(code)


def _summary(config: Config, where: str) -> str:
    """What is served, on one line."""
    service = config.memory.service
    names = list(config.decisions)
    more = f" and {len(names) - _DECISIONS_NAMED} more" if len(names) > _DECISIONS_NAMED else ""
    parts = (
        f"serving {where}",
        _several(service.workers, "worker"),
        f"backend {config.backend}",
        f"identity by {', '.join(service.auth.modes)}",
        f"upstream {service.upstream.url or 'none'}",
        f"decisions: {', '.join(names[:_DECISIONS_NAMED]) or 'none'}{more}",
        f"configuration {config.file}",
    )
    return " · ".join(parts)


def _several(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        sys.stdout.write(f"{one_line(text)}\n")
        sys.stdout.flush()
