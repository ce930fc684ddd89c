"""Times the hot cache on servers of its own: `python -m bench.cache [--quick] [--json OUT] [--parts P,...] [--seed N]`.

Every figure that counts is a ratio of two things taken in turn in the same run. The table goes to the terminal, the
figures to bench/results/local/cache.json, where parts that were not asked for stay as they were. Servers are found as
the tests find them, see tests/servers/find.py; without the Search module what needs a Valkey store is left out.
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

from bench.cache.room import NO_STORE_SERVER, has_store_server, server_versions
from bench.cache.settings import SEED, Settings
from bench.environment import environment
from bench.valkey.report import Claim, table

OUTPUT = Path(__file__).parent.parent / "results" / "local" / "cache.json"
PARTS = ("level1", "level2", "miss", "trace")

Part = Callable[[Settings], Awaitable[tuple[Mapping[str, Any], list[Claim]]]]


def main() -> int:
    """Runs the parts asked for."""
    arguments = _arguments()
    settings = replace(Settings(), seed=arguments.seed)
    if arguments.quick:
        settings = settings.quick()
    document = _document(arguments.json, settings)
    if not has_store_server():
        print(f"NOT MEASURED: {NO_STORE_SERVER}\n", file=sys.stderr, flush=True)
    claims: list[Claim] = []
    for name in arguments.parts:
        print(f"{name} …", flush=True)
        part: Part = import_module(f"bench.cache.{name}").measure
        figures, found = asyncio.run(_run(part, settings))
        claims += found
        document["parts"][name] = {"command": _command(arguments), **figures}
        document["summary"][name] = {claim.name: claim.document() for claim in found}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"{table(found)}\n", flush=True)
    print(f"{table(claims)}\n\nwritten to {arguments.json}")
    return 0


def _document(path: Path, settings: Settings) -> dict[str, Any]:
    """What the figures go into. Other parts of a file made with the same settings stay, so that one can be repeated."""
    base: dict[str, Any] = {
        "benchmark": "cache",
        "environment": environment(settings.seed) | {"servers": server_versions()},
        "settings": asdict(settings),
        "not_measured": "" if has_store_server() else NO_STORE_SERVER,
        "summary": {},
        "parts": {},
    }
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return base
    same = before.get("settings") == json.loads(json.dumps(base["settings"]))
    return base | {name: before[name] for name in ("summary", "parts") if same and name in before}


async def _run(part: Part, settings: Settings) -> tuple[Mapping[str, Any], list[Claim]]:
    return await part(settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.cache", description=__doc__)
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="OUT", help="where to write the figures")
    parser.add_argument("--seed", type=int, default=SEED, help="of conversations and of the agents' day")
    parser.add_argument("--quick", action="store_true", help="two minutes: fewer rounds, a short day")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return chosen


def _command(arguments: argparse.Namespace) -> str:
    quick = " --quick" if arguments.quick else ""
    return f"python -m bench.cache --seed {arguments.seed} --parts {','.join(arguments.parts)}{quick}"


if __name__ == "__main__":
    sys.exit(main())
