"""Times requests beside bare embedders: `python -m bench.throughput [--quick] [--json OUT] [--parts P,...]`.

Each figure is a ratio of two things taken in turn in the same process. The table goes to the terminal, the figures to
bench/results/local/throughput.json.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.parts import argument_parser, measure_parts
from bench.throughput.settings import SEED, Settings

NAME = "throughput"
PARTS = ("runtime", "callers", "ingest")


def main() -> int:
    """Runs the parts asked for."""
    quick = "two minutes: fewer and shorter turns, fewer memories"
    arguments = argument_parser(
        NAME, __doc__, PARTS, seed=SEED, seed_of="conversations and questions", quick=quick
    ).parse_args()
    settings = replace(Settings(), seed=arguments.seed)
    if arguments.quick:
        settings = settings.quick()
    measure_parts(NAME, arguments, settings, servers={})
    return 0


if __name__ == "__main__":
    sys.exit(main())
