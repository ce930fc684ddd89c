"""Samples whole requests: `python -m bench.profile [--quick] [--json OUT] [--parts P,...] [--seed N]`.

Shares are of samples, so noise of the machine falls on all rooms. The table goes to the terminal, the figures with the
folded stacks to bench/results/local/profile.json.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.parts import argument_parser, measure_parts
from bench.profile.settings import SEED, Settings

NAME = "profile"
PARTS = ("hit", "miss")


def main() -> int:
    """Runs the parts asked for."""
    quick = "half a minute: fewer and shorter turns"
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
