"""The options that commands share, each defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from router_memory.types import MemoryType

__all__ = [
    "ChangedType",
    "Config",
    "ConfigFile",
    "Conversations",
    "Decision",
    "Json",
    "MemoryId",
    "NewType",
    "OneUser",
    "Project",
    "Questions",
    "Types",
    "User",
]

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", envvar="ROUTER_MEMORY_CONFIG", help="Configuration file; without one, the defaults."
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Argument(metavar="FILE", envvar="ROUTER_MEMORY_CONFIG", help="Configuration file to check.")
]
Conversations = Annotated[
    Path | None,
    typer.Option("--conversation", metavar="FILE", help="Conversations to replay; without it, two that come along."),
]
Questions = Annotated[int, typer.Option("--questions", metavar="N", help="Questions asked for each user.")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document.")]
User = Annotated[
    str, typer.Option("--user", metavar="USER", envvar="ROUTER_MEMORY_USER", help="Whose memories. Compared exactly.")
]
OneUser = Annotated[
    str | None, typer.Option("--user", metavar="USER", help="Also count this user's memories. Compared exactly.")
]
Project = Annotated[
    str | None,
    typer.Option("--project", metavar="PROJECT", help="One project of the user; without it, all of them."),
]
_TYPES = "semantic, procedural or episodic"
Types = Annotated[
    list[MemoryType] | None,
    typer.Option("--type", metavar="TYPE", help=f"Only memories of this type: {_TYPES}. May be repeated."),
]
NewType = Annotated[MemoryType, typer.Option("--type", metavar="TYPE", help=f"What kind of knowledge it is: {_TYPES}.")]
ChangedType = Annotated[MemoryType | None, typer.Option("--type", metavar="TYPE", help=f"The new type: {_TYPES}.")]
Decision = Annotated[
    str | None, typer.Option("--decision", metavar="NAME", help="Whose policy applies; without it, the globals.")
]
MemoryId = Annotated[str, typer.Argument(metavar="ID", help="Id of the memory, as list and search print it.")]
