"""Compares router-memory with what people use today: `python -m bench.peers [--quick] [--data FILE] [--json OUT]`.

Every product runs as shipped, in its own virtual environment and process, over the same texts and with the same model;
all are asked the same questions in turn. The environments are made on the first run, which needs pip and its index, and
are kept. docs/peers.md says what is compared and how. The table goes to the terminal, the figures to
bench/results/local/peers.json.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from bench.parts import argument_parser, measure_parts
from bench.peers.settings import SEED, Settings, Size
from bench.valkey.server import own_server, server_versions
from tests.servers.find import find

NAME = "peers"
PARTS = ("shipped", "runtime", "told")


def main() -> int:
    """Runs the parts asked for."""
    defaults = Settings()
    quick = "the first size alone, few questions"
    parser = argument_parser(NAME, __doc__, PARTS, seed=SEED, seed_of="texts and questions", quick=quick)
    parser.add_argument("--sizes", type=_sizes, default=defaults.sizes, help="memories x users, e.g. 1000x20,20000x200")
    parser.add_argument("--data", default="", metavar="FILE", help="conversations in the form of docs/cli.md")
    parser.add_argument("--whole", action="store_true", help="a user's memory is a whole conversation of --data")
    parser.add_argument("--peers", type=_names, default=(), help="first words of their names; all unless given")
    parser.add_argument("--questions", type=int, default=defaults.questions, help="searches of each at each size")
    parser.add_argument(
        "--budget-seconds", type=float, default=defaults.budget_seconds, help="for filling one product at one size"
    )
    parser.add_argument("--threads", type=int, default=0, help="of OpenMP in every product; 0 for its own default")
    parser.add_argument("--environments", default="", metavar="DIR", help="where the virtual environments are kept")
    arguments = parser.parse_args()
    settings = replace(
        defaults,
        seed=arguments.seed,
        sizes=arguments.sizes,
        data=arguments.data,
        whole=arguments.whole,
        peers=arguments.peers,
        questions=arguments.questions,
        budget_seconds=arguments.budget_seconds,
        threads=arguments.threads,
        environments=arguments.environments,
    )
    if arguments.quick:
        settings = settings.quick()
    measure_parts(NAME, arguments, settings, servers=_servers(), options=_options(arguments))
    return 0


def _options(arguments: argparse.Namespace) -> str:
    chosen = [f"--sizes {','.join(map(str, arguments.sizes))}", f"--questions {arguments.questions}"]
    chosen += [f"--data {arguments.data}"] if arguments.data else []
    usual = Settings().budget_seconds
    chosen += [f"--budget-seconds {arguments.budget_seconds:g}"] if arguments.budget_seconds != usual else []
    chosen += [f"--threads {arguments.threads}"] if arguments.threads else []
    chosen += ["--whole"] if arguments.whole else []
    chosen += [f"--peers {','.join(arguments.peers)}"] if arguments.peers else []
    return " ".join(chosen)


def _servers() -> dict[str, str]:
    """Versions of the Valkey server of some rows; nothing without one, which those rows say."""
    found = find()
    if not found.command or found.module is None:
        return {}
    with own_server() as server:
        return server_versions(server)


def _sizes(text: str) -> tuple[Size, ...]:
    try:
        return tuple(Size.read(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"wanted is e.g. 1000x20,20000x200, not {text}") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


if __name__ == "__main__":
    sys.exit(main())
