"""Times the hot cache on servers of its own: `python -m bench.cache [--quick] [--json OUT] [--parts P,...] [--seed N]`.

Every figure that counts is a ratio of two things taken in turn in the same run. The table goes to the terminal, the
figures to bench/results/local/cache.json, where parts that were not asked for stay as they were. Servers are found as
the tests find them, see tests/servers/find.py; without the Search module what needs a Valkey store is left out.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.cache.room import NO_STORE_SERVER, has_store_server, server_versions
from bench.cache.settings import SEED, Settings
from bench.parts import argument_parser, measure_parts

NAME = "cache"
PARTS = ("level1", "level2", "miss", "trace")


def main() -> int:
    """Runs the parts asked for."""
    seed_of, quick = "conversations and of the agents' day", "two minutes: fewer rounds, a short day"
    arguments = argument_parser(NAME, __doc__, PARTS, seed=SEED, seed_of=seed_of, quick=quick).parse_args()
    settings = replace(Settings(), seed=arguments.seed)
    if arguments.quick:
        settings = settings.quick()
    servers = server_versions()
    missing = "" if has_store_server() else NO_STORE_SERVER
    if missing:
        print(f"NOT MEASURED: {missing}\n", file=sys.stderr, flush=True)
    measure_parts(NAME, arguments, settings, servers=servers, not_measured=missing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
