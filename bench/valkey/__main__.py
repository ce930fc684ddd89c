"""Times the Valkey store on a server of its own: `python -m bench.valkey [--quick] [--json OUT] [--seed N]`.

Every figure that counts is a ratio of two things taken in turn in the same run. The table goes to the terminal, the
figures to bench/results/local/valkey.json, where parts that were not asked for stay as they were. The server is found
as the tests find it, see tests/servers/find.py.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.environment import environment
from bench.valkey.report import Claim, table
from bench.valkey.server import own_server, server_versions
from bench.valkey.settings import SEED, Settings

OUTPUT = Path(__file__).parent.parent / "results" / "local" / "valkey.json"
PARTS = ("searches", "large", "ingest", "concurrent", "memory", "statistics")

Part = Callable[[Settings], Awaitable[tuple[Mapping[str, Any], list[Claim]]]]


def main() -> int:
    """Runs the parts asked for."""
    arguments = _arguments()
    settings = replace(Settings(), seed=arguments.seed, sizes=arguments.sizes)
    if arguments.quick:
        settings = settings.quick()
    document = _document(arguments, settings)
    claims: list[Claim] = []
    for name in arguments.parts:
        print(f"{name} …", flush=True)
        part: Part = import_module(f"bench.valkey.{name}").measure
        figures, found = asyncio.run(_run(part, settings))
        claims += found
        document["parts"][name] = {"command": _command(arguments), **figures}
        document["summary"][name] = {claim.name: claim.document() for claim in found}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"{table(found)}\n", flush=True)
    print(f"{table(claims)}\n\nwritten to {arguments.json}")
    return 0


def _document(arguments: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """What the figures go into. Other parts of a file made with the same settings stay, so that one can be repeated."""
    base: dict[str, Any] = {
        "benchmark": "valkey",
        "environment": environment(arguments.seed) | {"servers": _versions()},
        "settings": asdict(settings),
        "summary": {},
        "parts": {},
    }
    try:
        before = json.loads(arguments.json.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return base
    same = before.get("settings") == json.loads(json.dumps(base["settings"]))
    return base | {name: before[name] for name in ("summary", "parts") if same and name in before}


async def _run(part: Part, settings: Settings) -> tuple[Mapping[str, Any], list[Claim]]:
    return await part(settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.valkey", description=__doc__)
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="OUT", help="where to write the figures")
    parser.add_argument("--seed", type=int, default=SEED, help="of the generated memories")
    parser.add_argument("--sizes", type=_sizes, default=Settings().sizes, help="memories in all, e.g. 20000,120000")
    parser.add_argument("--quick", action="store_true", help="a few minutes: no million, smaller graphs")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(part) for part in text.split(",")))


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return chosen


def _command(arguments: argparse.Namespace) -> str:
    sizes = ",".join(map(str, arguments.sizes))
    quick = " --quick" if arguments.quick else ""
    return f"python -m bench.valkey --seed {arguments.seed} --sizes {sizes} --parts {','.join(arguments.parts)}{quick}"


def _versions() -> dict[str, str]:
    with own_server() as server:
        return server_versions(server)


if __name__ == "__main__":
    sys.exit(main())
