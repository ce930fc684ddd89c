"""Times requests beside bare embedders: `python -m bench.throughput [--quick] [--json OUT] [--parts P,...]`.

Each figure is a ratio of two things taken in turn in the same process. The table goes to the terminal, the figures to
bench/results/local/throughput.json.
"""

from __future__ import annotations

import sys

from bench.parts import run
from bench.throughput.settings import Settings

NAME = "throughput"
PARTS = ("runtime", "callers", "ingest")


def main() -> int:
    """Runs the parts asked for."""
    quick = "two minutes: fewer and shorter turns, fewer memories"
    return run(NAME, __doc__, PARTS, Settings(), seed_of="conversations and questions", quick=quick)


if __name__ == "__main__":
    sys.exit(main())
