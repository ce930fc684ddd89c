"""A benchmark in parts, of which some can be measured again by themselves: its command line, its runs and its document.

Each part is a module of the benchmark's folder with a `measure` that takes the settings and gives figures and claims.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import re
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from bench.claims import Claim, table
from bench.document import Document, Environment, Stated, UnreadableDocument, plain, read, write
from bench.document import Part as Measured
from bench.environment import environment, load

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Part", "Quickened", "argument_parser", "document_part", "measure_parts", "run"]

Part = Callable[[Any], Awaitable[tuple[Mapping[str, Any], list[Claim]]]]

_PATH = re.compile(r"(?<![^\s=:,'\"])/(?:[^\s/:,]+/)+([^\s/:,]*)")
_RESULTS = Path(__file__).parent / "results" / "local"


class Quickened(Protocol):
    """Settings, a dataclass, that know their quick form."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def seed(self) -> int:
        """Of everything that is generated."""
        ...

    def quick(self) -> Self:
        """The same for a quick run."""
        ...


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


def run(
    benchmark: str,
    description: str | None,
    parts: Sequence[str],
    settings: Quickened,
    *,
    seed_of: str,
    quick: str,
    packages: Sequence[str] = (),
) -> int:
    """A benchmark whose command line is `argument_parser`'s alone, from there to its document. The exit code.

    Args:
        benchmark, description, parts, seed_of, quick: See `argument_parser`.
        settings: Those of the full run.
        packages: Whose versions count beside those of every run.
    """
    arguments = argument_parser(
        benchmark, description, parts, seed=settings.seed, seed_of=seed_of, quick=quick
    ).parse_args()
    settings = replace(settings, seed=arguments.seed)
    measure_parts(
        benchmark,
        arguments,
        settings.quick() if arguments.quick else settings,
        servers={name: version(name) for name in packages},
    )
    return 0


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
    facts["load_before"] = load()
    document = _document(benchmark, path)
    command = _command(benchmark, arguments, options)
    claims: list[Claim] = []
    for name in arguments.parts:
        print(f"{name} …", flush=True)
        part: Part = import_module(f"bench.{benchmark}.{name}").measure
        figures, found = asyncio.run(_run(part, settings))
        claims += found
        document.parts[name] = document_part(
            command=command,
            quick=arguments.quick,
            environment=environment(arguments.seed) | {"servers": dict(servers)},
            settings=asdict(settings),
            facts=facts,
            claims=found,
            figures=figures,
        )
        write(document, path)
        print(f"{table(found)}\n", flush=True)
    print(f"{table(claims)}\n\nwritten to {path}")


def document_part(
    *,
    command: str,
    quick: bool,
    environment: Mapping[str, Any],
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
    claims: Sequence[Claim],
    figures: Mapping[str, Any],
) -> Measured:
    """A part as the document has it; see `bench.document.Part` for what is what.

    A value that is no number, such as the ratio to nothing, becomes null, which meets no target. Of a file that was
    named by its whole path only the name is kept: documents are published, and folders are the machine's own.
    """
    stated = []
    for claim in claims:
        known = math.isfinite(claim.value)
        met = bool(claim.met) and known if claim.target else None
        stated.append(
            Stated(name=claim.name, value=float(claim.value) if known else None, target=claim.target, met=met)
        )
    return Measured(
        command=_without_folders(command),
        quick=quick,
        environment=Environment.model_validate(environment),
        settings=_without_folders(plain(settings)),
        facts=_without_folders(plain(facts)),
        claims=stated,
        figures=_without_folders(plain(figures)),
    )


def _without_folders(value: Any) -> Any:
    """All texts within, with paths that begin at the root cut to their last name."""
    if isinstance(value, str):
        return _PATH.sub(r"\1", value)
    if isinstance(value, dict):
        return {name: _without_folders(one) for name, one in value.items()}
    return [_without_folders(one) for one in value] if isinstance(value, list) else value


def _document(benchmark: str, path: Path) -> Document:
    """What the parts go into: that in the file, so that one part can be measured again by itself."""
    try:
        before = read(path)
    except FileNotFoundError:
        return Document(benchmark=benchmark)
    except UnreadableDocument as error:
        print(f"written anew: {error}", file=sys.stderr, flush=True)
        return Document(benchmark=benchmark)
    if before.benchmark != benchmark:
        raise SystemExit(f"{path} holds the benchmark {before.benchmark}; choose another --json for {benchmark}")
    return before


def _command(benchmark: str, arguments: argparse.Namespace, options: str) -> str:
    """What is to be typed for the same figures."""
    own = f" {options}" if options else ""
    quick = " --quick" if arguments.quick else ""
    return f"python -m bench.{benchmark} --seed {arguments.seed}{own} --parts {','.join(arguments.parts)}{quick}"


async def _run(part: Part, settings: object) -> tuple[Mapping[str, Any], list[Claim]]:
    return await part(settings)
