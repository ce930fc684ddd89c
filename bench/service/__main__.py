"""Times the proxy beside a plain pass-through: `python -m bench.service [--quick] [--json OUT] [--parts P,...]`.

Both stand before the same upstream, are asked by the same clients, in turn, and each figure is a ratio or a difference
of the two in the same run. Upstream, pass-through, service and clients are a process each. The table goes to the
terminal, the figures to bench/results/local/service.json.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import version

from bench.parts import argument_parser, measure_parts
from bench.service.settings import SEED, Settings

NAME = "service"
PARTS = ("off", "hit", "miss")
_PACKAGES = ("uvicorn", "httpx", "httpcore", "h11", "httptools", "uvloop", "fastapi", "starlette")


def main() -> int:
    """Runs the parts asked for."""
    quick = "a minute and a half: fewer and shorter turns"
    arguments = argument_parser(
        NAME, __doc__, PARTS, seed=SEED, seed_of="the user's conversations", quick=quick
    ).parse_args()
    settings = replace(Settings(), seed=arguments.seed)
    if arguments.quick:
        settings = settings.quick()
    measure_parts(NAME, arguments, settings, servers={name: version(name) for name in _PACKAGES})
    return 0


if __name__ == "__main__":
    sys.exit(main())
