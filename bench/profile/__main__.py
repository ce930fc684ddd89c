"""Samples whole requests: `python -m bench.profile [--quick] [--json OUT] [--parts P,...] [--seed N]`.

Shares are of samples, so noise of the machine falls on all rooms. The table goes to the terminal, the figures with the
folded stacks to bench/results/local/profile.json.
"""

from __future__ import annotations

import sys

from bench.parts import run
from bench.profile.settings import Settings

NAME = "profile"
PARTS = ("hit", "miss")


def main() -> int:
    """Runs the parts asked for."""
    quick = "half a minute: fewer and shorter turns"
    return run(NAME, __doc__, PARTS, Settings(), seed_of="conversations and questions", quick=quick)


if __name__ == "__main__":
    sys.exit(main())
