"""Measures retrieval quality: `python -m bench.quality --data FILE... [--config FILE] [--json OUT]`.

Each conversation becomes one user's memory through the write path; each question goes through `search`, to its own
user's memory and to another's. Questions without evidence and unanswerable ones are left out of the ranking figures.
A FILE may be followed by roles, `FILE:user`: of that set only their messages are stored, and count as evidence.
`python -m bench.quality report FILE...` draws the tables of what --json wrote.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environment import environment
from bench.quality.backend import Backend, backend, configuration
from bench.quality.bootstrap import Bootstrap
from bench.quality.constants import constants
from bench.quality.cost import measure_cost
from bench.quality.data import Unit, load
from bench.quality.measure import Wanted, measure_set
from bench.quality.report import report, show
from bench.quality.writing import NAME, written
from router_memory.errors import RouterMemoryError
from router_memory.types import RankingMode

__all__ = ["Source", "arguments_of", "measure"]

SEED = 20260301


@dataclass(frozen=True, slots=True)
class Source:
    """A file of conversations, and which of its messages are stored; no roles mean all."""

    path: Path
    roles: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Source:
        """Reads ``FILE`` or ``FILE:ROLE,ROLE``."""
        path, colon, roles = text.rpartition(":")
        named = bool(colon) and not Path(text).exists()
        source = cls(Path(path), tuple(roles.split(","))) if named else cls(Path(text))
        if not source.path.is_file():
            raise argparse.ArgumentTypeError(f"there is no file {source.path}")
        return source

    @property
    def name(self) -> str:
        """For tables; holds no path."""
        return f"{self.path.stem}, {' and '.join(self.roles)} messages" if self.roles else self.path.stem

    def __str__(self) -> str:
        return self.path.name + (f":{','.join(self.roles)}" if self.roles else "")


def main() -> None:
    """Runs the benchmark, or draws the tables of earlier runs."""
    if sys.argv[1:2] == ["report"]:
        report(sys.argv[2:])
        return
    arguments = arguments_of(sys.argv[1:])
    try:
        with backend(arguments.backend, arguments.address) as where:
            document = asyncio.run(measure(arguments, where))
    except RouterMemoryError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
    show(document)


def arguments_of(words: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", required=True, type=Source.of, metavar="FILE[:ROLE,...]")
    parser.add_argument("--config", default=Path("config/config.yaml"), type=Path)
    parser.add_argument("--json", type=Path, metavar="OUT", help="where to write the figures")
    parser.add_argument("--roles", nargs="*", default=[], help="of sets without roles of their own")
    parser.add_argument("--unit", type=Unit, choices=[*Unit], default=Unit.MESSAGE, help="what becomes one memory")
    parser.add_argument("--mode", type=RankingMode, choices=[*RankingMode], help="in place of the configured one")
    parser.add_argument("--runtime", metavar="NAME", help="in place of the configured embedding.runtime")
    parser.add_argument("--backend", choices=["embedded", "valkey"], default="embedded", help="where memories live")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a running Valkey; else one is started")
    parser.add_argument("--reference", action="store_true", help="also the reference's way, through our own code")
    parser.add_argument("--ablate", action="store_true", help="also the rerank without one signal at a time")
    parser.add_argument("--no-cost", action="store_true", help="leave out what is timed against the embedding")
    parser.add_argument("--quick", action="store_true", help="leave it out, and mark the document as a quick run's")
    parser.add_argument("--seed", type=int, default=SEED, help="of the bootstrap and of generated memories")
    arguments = parser.parse_args(words)
    arguments.no_cost |= arguments.quick
    arguments.data = [
        source if source.roles else Source(source.path, tuple(arguments.roles)) for source in arguments.data
    ]
    return arguments


async def measure(arguments: argparse.Namespace, where: Backend) -> dict[str, Any]:
    """Loads each file into a store of its own and asks its questions; the document that is written as JSON."""
    config = configuration(arguments.config, runtime=arguments.runtime)
    wanted = Wanted(Bootstrap(arguments.seed), arguments.mode, arguments.ablate, arguments.reference)
    document: dict[str, Any] = {
        "benchmark": NAME,
        "quick": arguments.quick,
        "command": _command(arguments),
        "environment": environment(arguments.seed) | ({"servers": where.versions} if where.versions else {}),
        "backend": where.name,
        "unit": arguments.unit.value,
        "sets": [],
    }
    for source in arguments.data:
        print(f"{source.name} …", file=sys.stderr, flush=True)
        conversations = list(load(source.path, roles=frozenset(source.roles) or None, unit=arguments.unit))
        async with where.opened(config) as opened:
            embedder = opened.parts.embedder
            document |= {"model": embedder.fingerprint, "runtime": embedder.runtime}
            document["constants"] = constants(opened.lookups.calibration)
            document["sets"].append(await measure_set(opened, source.name, conversations, wanted))
        _write(document, arguments.json)
    if not arguments.no_cost:
        print("cost …", file=sys.stderr, flush=True)
        document["cost"] = await measure_cost(where, config, arguments.seed)
        _write(document, arguments.json)
    return document


def _write(document: dict[str, Any], path: Path | None) -> None:
    """After each set, for a run takes minutes."""
    if path is not None:
        written(document, path)


def _command(arguments: argparse.Namespace) -> str:
    """What is to be typed for the same figures, without the folders of the data."""
    words = ["python", "-m", "bench.quality", "--data", *map(str, arguments.data), "--config", str(arguments.config)]
    for name, usual in (("unit", Unit.MESSAGE), ("mode", None), ("runtime", None), ("backend", "embedded")):
        value = getattr(arguments, name)
        words += [f"--{name}", str(value)] if value != usual else []
    words += [
        f"--{name.replace('_', '-')}"
        for name in ("reference", "ablate", "no_cost", "quick")
        if getattr(arguments, name)
    ]
    return shlex.join([*words, "--seed", str(arguments.seed)])


if __name__ == "__main__":
    main()
