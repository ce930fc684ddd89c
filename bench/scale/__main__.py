"""Times the embedded store at scale: `python -m bench.scale [--quick] [--memories N] [--json OUT] [--parts P,...]`.

`users` spreads the memories over users of 100 each, `scope` gives them all to one. Embedding is left out: vectors are
generated. Each figure stands beside a floor of the same run: numpy over the same user's vectors, one bare index of
usearch over all of them, a bare SQLite table of the same rows. The table goes to the terminal, the figures to
bench/results/local/scale.json. A million memories take 3 GB of disk in the temporary folder at a time, and 4 GB of RAM.
"""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace

from bench.parts import argument_parser, measure_parts
from bench.scale.settings import SEED, Settings

NAME = "scale"
PARTS = ("users", "scope")


def main() -> int:
    """Runs the parts asked for."""
    parser = argument_parser(
        NAME, __doc__, PARTS, seed=SEED, seed_of="the generated memories", quick="a minute: 20,000 memories"
    )
    parser.add_argument("--memories", type=int, default=None, help="in each part, by default 1,000,000")
    arguments = parser.parse_args()
    settings = replace(Settings(), seed=arguments.seed)
    if arguments.quick:
        settings = settings.quick()
    options = ""
    if arguments.memories is not None:
        settings = replace(settings, memories=arguments.memories)
        options = f"--memories {arguments.memories}"
    measure_parts(NAME, arguments, settings, servers={"sqlite": sqlite3.sqlite_version}, options=options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
