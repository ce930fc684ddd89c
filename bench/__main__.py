"""Lists the benchmarks, or runs them: `python -m bench`, `python -m bench all [--quick] [--data FILE ...]`.

They run one after the other, each in a process of its own. One that needs what is not here is skipped and says why; one
that fails makes the exit code 1, and the others still run. A missed target is shown and is no failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.catalogue import BENCHMARKS, Benchmark, named
from bench.running import run_all, summary

_RESULTS = Path(__file__).parent / "results" / "local"


def main(words: Sequence[str] | None = None) -> int:
    """The list without a word, else the runs that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    every = commands.add_parser("all", help="run them", description=__doc__)
    every.add_argument("--quick", action="store_true", help="minutes in place of hours: less data, fewer rounds")
    every.add_argument("--only", type=_some, default=BENCHMARKS, metavar="NAME,...", help="these")
    every.add_argument("--without", type=_some, default=(), metavar="NAME,...", help="all but these")
    every.add_argument("--data", nargs="+", default=[], metavar="FILE", help="evaluation data, see docs/quality.md")
    every.add_argument("--results", type=Path, default=_RESULTS, metavar="DIR", help="where to write the documents")
    arguments = parser.parse_args(words)
    if arguments.command is None:
        print(listed())
        return 0
    chosen = [one for one in BENCHMARKS if one in arguments.only and one not in arguments.without]
    ran = run_all(chosen, quick=arguments.quick, data=arguments.data, results=arguments.results)
    print(f"{summary(ran)}\n\ndocuments in {arguments.results}; python -m bench.report draws their tables and plots")
    return int(any(one.failed for one in ran))


def listed() -> str:
    """Each benchmark in a line, and how to run them."""
    width = max(len(one.name) for one in BENCHMARKS) + 2
    lines = [f"{one.name:<{width}}{one.answers}" for one in BENCHMARKS if one.exists]
    return "\n".join(
        [
            *lines,
            "",
            "python -m bench.NAME [--quick]       one of them; --help says what it takes",
            "python -m bench all [--quick]        all, one after the other",
            "python -m bench.report               tables and plots of what was measured",
        ]
    )


def _some(text: str) -> tuple[Benchmark, ...]:
    try:
        return tuple(named(name) for name in text.split(","))
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"no such benchmark: {error.args[0]}") from None


if __name__ == "__main__":
    sys.exit(main())
