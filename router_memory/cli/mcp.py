"""`mcp`: memory for agents, by the Model Context Protocol."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from router_memory.cli import options as opt
from router_memory.cli.output import note
from router_memory.errors import InvalidRequest, MissingExtra
from router_memory.types import Scope

if TYPE_CHECKING:
    from router_memory.config import Config

__all__ = ["mcp"]


def mcp(
    context: typer.Context,
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="USER",
            envvar="ROUTER_MEMORY_USER",
            help="Whose memories, on standard input and output. Compared exactly.",
        ),
    ] = None,
    project: opt.Project = None,
    http: Annotated[
        bool, typer.Option("--http", metavar="", help="Serve over HTTP, where each request says who is asking.")
    ] = False,
    host: Annotated[
        str | None, typer.Option("--host", metavar="HOST", help="With --http: where to listen; else as configured.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65_535,
            help="With --http: the port, 0 for a free one; else as configured.",
        ),
    ] = None,
    config: opt.Config = None,
) -> None:
    """Serves memory to an agent, by the Model Context Protocol.

    On standard input and output for one user, started by the agent's program; or over HTTP at /mcp for many.
    """
    from router_memory.config import load_config

    if http:
        _refuse_user(context, project)
        given = {"service.host": host, "service.port": port}
        _serve_http(load_config(config, overrides={key: value for key, value in given.items() if value is not None}))
        return
    if host is not None or port is not None:
        raise InvalidRequest("--host and --port belong to --http")
    if user is None:
        raise InvalidRequest("--user is missing: whose memories it is about", hint="or set ROUTER_MEMORY_USER")
    _serve_stdio(Scope(user, project), load_config(config), debug=bool(getattr(context.obj, "debug", False)))


def _serve_stdio(scope: Scope, config: Config, *, debug: bool) -> None:
    from router_memory.interfaces.mcp.stdio import serve_stdio
    from router_memory.interfaces.mcp.wire import standard_wire
    from router_memory.memory import MemoryPlugin
    from router_memory.telemetry import configure_logging

    if not debug:  # the agent's program keeps standard error as the server's log
        configure_logging("text", level=logging.WARNING)
    with standard_wire() as wire:
        asyncio.run(serve_stdio(scope, lambda: MemoryPlugin.open(config), wire))


def _serve_http(config: Config) -> None:
    from router_memory.telemetry import configure_logging

    try:
        from router_memory.serving.life import event_loop
        from router_memory.serving.mcp_only import serve_mcp
    except MissingExtra:
        raise
    except ImportError:
        raise MissingExtra("serving over HTTP", extra="server") from None

    configure_logging(config.memory.service.telemetry.log_format)
    with asyncio.Runner(loop_factory=event_loop) as runner:
        runner.run(serve_mcp(config, announce=lambda url: note(f"listening on {url}")))


def _refuse_user(context: typer.Context, project: str | None) -> None:
    """A user on the command line next to --http would be believed to narrow what is served."""
    source = context.get_parameter_source("user")
    if project is not None or (source is not None and source.name == "COMMANDLINE"):
        raise InvalidRequest("with --http each request says who is asking; --user and --project have no place there")
