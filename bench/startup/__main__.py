"""Times cold starts: `python -m bench.startup [--quick] [--json OUT] [--parts P,...]`.

Every start is a fresh interpreter; what is compared is started in turn in the same run, and what counts is the median
of the rounds' ratios. The files that are read lie in the page cache, as they do where a program is used now and then:
each command runs once before it is timed. Bytecode is compiled by then, and weights are hashed. The table goes to the
terminal, the figures to bench/results/local/startup.json.
"""

from __future__ import annotations

import sys

from bench.parts import run
from bench.startup.settings import Settings

NAME = "startup"
PARTS = ("imports", "search", "help", "ready", "export")
_PACKAGES = ("typer", "rich", "pydantic", "uvicorn", "mcp")


def main() -> int:
    """Runs the parts asked for."""
    quick = "about two minutes: fewer rounds, one export"
    return run(NAME, __doc__, PARTS, Settings(), seed_of="the memories", quick=quick, packages=_PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
