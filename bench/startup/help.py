"""What asking for help loads and costs, command by command, and what completing a word in a shell does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from bench.claims import Claim, at_most
from bench.startup.processes import PROGRAM, environment, in_turn, medians, ratio
from bench.startup.settings import Settings
from router_memory.cli.app import tree

__all__ = ["HEAVY", "measure"]

HEAVY = (
    "torch transformers sentence_transformers onnxruntime onnx tokenizers numpy usearch sqlite3 yaml glide fastapi "
    "uvicorn httpx mcp prometheus_client opentelemetry structlog"
).split()
"""Libraries of the model, the stores and the servers. pydantic is none of them: typer reads parameters with it."""
_LOADED = (
    "import sys\n"
    "from router_memory.cli.entry import run\n"
    f"run(sys.argv[1:])\nprint(*sorted({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr)"
)
_COMPLETING = {"_ROUTER_MEMORY_COMPLETE": "complete_bash", "COMP_WORDS": "router-memory se", "COMP_CWORD": "1"}


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Every command's ``--help`` beside a bare interpreter."""
    lines = list(_commands(typer.main.get_command(tree()), ()))
    loaded = {_name(line): _heavy([*line, "--help"]) for line in lines}
    loaded["completion"] = _heavy([], **_COMPLETING)
    bare = (sys.executable, "-c", "pass")
    runs = in_turn({"": bare, **{_name(line): (*PROGRAM, *line, "--help") for line in lines}}, settings.helps)
    ratios = {name: ratio(found, runs[""]) for name, found in runs.items() if name}
    figures = {
        "bare": medians(runs[""]),
        "commands": {
            name: medians(found) | {"ratio": ratios[name], "heavy": loaded[name]}
            for name, found in runs.items()
            if name
        },
        "completion": {"heavy": loaded["completion"]},
    }
    root = ratios.pop(_name(()))
    return figures, [
        at_most("heavy modules loaded by any help or completion", float(sum(map(len, loaded.values()))), 0.0),
        Claim("router-memory --help / a bare interpreter", root),
        Claim("the slowest command's --help / a bare interpreter", max(ratios.values())),
    ]


def _commands(command: Any, line: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The command and all below it, as what is typed."""
    yield line
    nested: Mapping[str, Any] = getattr(command, "commands", {})
    for name, one in nested.items():
        yield from _commands(one, (*line, name))


def _name(line: tuple[str, ...]) -> str:
    return " ".join(("router-memory", *line))


def _heavy(arguments: list[str], **more: str) -> list[str]:
    """Which of `HEAVY` a command loads."""
    ran = subprocess.run(
        [sys.executable, "-c", _LOADED, *arguments],
        env=environment(**more),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    return ran.stderr.split()
