"""The command tree."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import dataclass
from typing import Annotated

import typer

from router_memory import __version__
from router_memory.cli import (
    cache,
    check,
    demo,
    doctor,
    mcp,
    memories,
    model,
    operations,
    serve,
    transfer,
    tune,
    upstream,
)

__all__ = ["Session", "app"]


@dataclass(slots=True)
class Session:
    """What one run of the program was told.

    Attributes:
        debug: Whether tracebacks and logs are shown.
    """

    debug: bool = False


app = typer.Typer(
    name="router-memory",
    help="Memory for LLM routers and gateways: try it, look into it, correct it.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 store or cache away, 130 interrupted.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
_config = typer.Typer(name="config", help="Looks at configuration files.", invoke_without_command=True)
_model = typer.Typer(name="model", help="Exports, verifies and times the embedding model.", invoke_without_command=True)
_cache = typer.Typer(name="cache", help="Looks into the hot cache, and empties it.", invoke_without_command=True)

app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.add_typer(_config)
_config.command("check")(check.check)
app.command("tune")(tune.tune)
app.command("add")(memories.add)
app.command("search")(memories.search)
app.command("get")(memories.get)
app.command("list")(memories.list_)
app.command("update")(memories.update)
app.command("forget")(operations.forget)
app.command("stats")(operations.stats)
app.add_typer(_cache)
_cache.command("stats")(cache.stats)
_cache.command("clear")(cache.clear)
app.add_typer(_model)
_model.command("export")(model.export)
_model.command("verify")(model.verify)
_model.command("bench")(model.bench)
app.command("export")(transfer.export)
app.command("import")(transfer.import_)
app.command("doctor")(doctor.doctor)
app.command("upstream")(upstream.upstream)
app.command("mcp")(mcp.mcp)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"router-memory {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option("--debug", metavar="", envvar="ROUTER_MEMORY_DEBUG", help="Show logs, and tracebacks of errors."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    if debug:
        if isinstance(context.obj, Session):
            context.obj.debug = True
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
        warnings.resetwarnings()
    _help_without_command(context)


@_config.callback()
def _config_root(context: typer.Context) -> None:
    _help_without_command(context)


@_model.callback()
def _model_root(context: typer.Context) -> None:
    _help_without_command(context)


@_cache.callback()
def _cache_root(context: typer.Context) -> None:
    _help_without_command(context)


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help())
        raise typer.Exit
