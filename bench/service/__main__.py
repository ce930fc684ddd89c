"""Times the proxy beside a plain pass-through: `python -m bench.service [--quick] [--json OUT] [--parts P,...]`.

Both stand before the same upstream, are asked by the same clients, in turn, and each figure is a ratio or a difference
of the two in the same run. Upstream, pass-through, service and clients are a process each. The table goes to the
terminal, the figures to bench/results/local/service.json.
"""

from __future__ import annotations

import sys

from bench.parts import run
from bench.service.settings import Settings

NAME = "service"
PARTS = ("off", "hit", "miss")
_PACKAGES = ("uvicorn", "httpx", "httpcore", "h11", "httptools", "uvloop", "fastapi", "starlette")


def main() -> int:
    """Runs the parts asked for."""
    quick = "a minute and a half: fewer and shorter turns"
    return run(NAME, __doc__, PARTS, Settings(), seed_of="the user's conversations", quick=quick, packages=_PACKAGES)


if __name__ == "__main__":
    sys.exit(main())
