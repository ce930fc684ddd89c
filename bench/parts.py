"""A benchmark in parts, of which some can be measured again by themselves: its command line, its runs and its document.

Each part is a module of the benchmark's folder with a `measure` that takes the settings and gives figures and claims.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.claims import Claim, table
from bench.environment import environment

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Part", "argument_parser", "measure_parts"]

Part = Callable[[Any], Awaitable[tuple[Mapping[str, Any], list[Claim]]]]

_RESULTS = Path(__file__).parent / "results" / "local"


def argument_parser(
    benchmark: str, description: str | None, parts: Sequence[str], *, seed: int, seed_of: str, quick: str
) -> argparse.ArgumentParser:
    """A parser of ``--json``, ``--seed``, ``--quick`` and ``--parts``.

    Args:
        benchmark: Name of its folder.
        description: For ``--help``.
        parts: All there are, in the order in which they run.
        seed: The default.
        seed_of: What is generated from it.
        quick: What the quick run is like.
    """

    def some(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        unknown = [name for name in chosen if name not in parts]
        if unknown:
            raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
        return chosen

    output = _RESULTS / f"{benchmark}.json"
    parser = argparse.ArgumentParser(prog=f"python -m bench.{benchmark}", description=description)
    parser.add_argument("--json", type=Path, default=output, metavar="OUT", help="where to write the figures")
    parser.add_argument("--seed", type=int, default=seed, help=f"of {seed_of}")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--parts", type=some, default=tuple(parts), help=f"some of {','.join(parts)}")
    return parser


def measure_parts(
    benchmark: str,
    arguments: argparse.Namespace,
    settings: DataclassInstance,
    *,
    servers: Mapping[str, str],
    options: str = "",
    **facts: Any,
) -> None:
    """Runs the parts asked for, writes the file after each, and prints its table; at the end that of all.

    Args:
        benchmark: Name of its folder.
        arguments: As the benchmark's parser read them.
        settings: What each part is given.
        servers: Versions of servers and client.
        options: Those of the benchmark's own, as they are typed.
        facts: What else the document is to say, JSON-compatible.
    """
    path: Path = arguments.json
    document = _document(
        {
            "benchmark": benchmark,
            "environment": environment(arguments.seed) | {"servers": servers},
            "settings": asdict(settings),
            **facts,
            "summary": {},
            "parts": {},
        },
        path,
    )
    command = _command(benchmark, arguments, options)
    claims: list[Claim] = []
    for name in arguments.parts:
        print(f"{name} …", flush=True)
        part: Part = import_module(f"bench.{benchmark}.{name}").measure
        figures, found = asyncio.run(_run(part, settings))
        claims += found
        document["parts"][name] = {"command": command, **figures}
        document["summary"][name] = {claim.name: claim.document() for claim in found}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"{table(found)}\n", flush=True)
    print(f"{table(claims)}\n\nwritten to {path}")


def _document(base: dict[str, Any], path: Path) -> dict[str, Any]:
    """What the figures go into. Other parts of a file made with the same settings stay, so that one can be repeated."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return base
    same = before.get("settings") == json.loads(json.dumps(base["settings"]))
    return base | {name: before[name] for name in ("summary", "parts") if same and name in before}


def _command(benchmark: str, arguments: argparse.Namespace, options: str) -> str:
    """What is to be typed for the same figures."""
    own = f" {options}" if options else ""
    quick = " --quick" if arguments.quick else ""
    return f"python -m bench.{benchmark} --seed {arguments.seed}{own} --parts {','.join(arguments.parts)}{quick}"


async def _run(part: Part, settings: object) -> tuple[Mapping[str, Any], list[Claim]]:
    return await part(settings)
