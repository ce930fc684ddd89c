"""The command tree: all of it, or the one command that is run, so that no other is loaded."""

from __future__ import annotations

import logging
import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_memory import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Session", "tree"]

_COMMANDS = {
    "demo": "demo:demo",
    "serve": "serve:serve",
    "tune": "tune:tune",
    "add": "memories:add",
    "search": "memories:search",
    "get": "memories:get",
    "list": "memories:list_",
    "update": "memories:update",
    "forget": "operations:forget",
    "stats": "operations:stats",
    "export": "transfer:export",
    "import": "transfer:import_",
    "doctor": "doctor:doctor",
    "upstream": "upstream:upstream",
    "mcp": "mcp:mcp",
}
"""The module here and the function of each command, in the order of the help."""
_GROUPS = {
    "config": ("Looks at configuration files.", {"check": "check:check"}),
    "cache": (
        "Looks into the hot cache, and empties it.",
        {"stats": "cache:stats", "clear": "cache:clear"},
    ),
    "model": (
        "Exports, verifies and times the embedding model.",
        {"export": "model:export", "verify": "model:verify", "bench": "model:bench"},
    ),
}
"""The help and the commands of each group of commands."""


@dataclass(slots=True)
class Session:
    """What one run of the program was told.

    Attributes:
        debug: Whether tracebacks and logs are shown.
    """

    debug: bool = False


def tree(first: str | None = None) -> typer.Typer:
    """The program as typer has it.

    Args:
        first: What is typed first. Where it is a command or a group, no other is in the tree; anything else, and
            ``None``, gives the whole tree, which knows what to say of it.
    """
    alone = first if first in _COMMANDS or first in _GROUPS else None
    app = typer.Typer(
        name="router-memory",
        help="Memory for LLM routers and gateways: try it, look into it, correct it.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 store or cache away, 130 interrupted.",
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_root)
    for name, place in _COMMANDS.items():
        if alone in (None, name):
            app.command(name)(_function(place))
    for name, (text, commands) in _GROUPS.items():
        if alone in (None, name):
            group = typer.Typer(name=name, help=text, invoke_without_command=True)
            group.callback()(_help_without_command)
            for nested, place in commands.items():
                group.command(nested)(_function(place))
            app.add_typer(group)
    return app


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(import_module(f"router_memory.cli.{module}"), name)
    return found


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"router-memory {__version__}\n")
        raise typer.Exit


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


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help())
        raise typer.Exit
