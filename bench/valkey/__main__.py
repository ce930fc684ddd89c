"""Times the Valkey store on a server of its own: `python -m bench.valkey [--quick] [--json OUT] [--seed N]`.

Every figure that counts is a ratio of two things taken in turn in the same run. The table goes to the terminal, the
figures to bench/results/local/valkey.json, where parts that were not asked for stay as they were. The server is found
as the tests find it, see tests/servers/find.py. `--texts FILE` adds a part: what graphs find of embeddings of texts.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from bench.parts import argument_parser, measure_parts
from bench.valkey.server import own_server, server_versions
from bench.valkey.settings import SEED, Settings
from bench.valkey.texts import unfit

NAME = "valkey"
PARTS = ("searches", "large", "ingest", "concurrent", "memory", "statistics", "texts")


def main() -> int:
    """Runs the parts asked for."""
    seed_of, quick = "the generated memories", "a couple of minutes: 40,000 memories at most, smaller graphs"
    parser = argument_parser(NAME, __doc__, PARTS, seed=SEED, seed_of=seed_of, quick=quick)
    parser.add_argument("--sizes", type=_sizes, default=Settings().sizes, help="memories in all, e.g. 20000,120000")
    parser.add_argument(
        "--texts", default="", metavar="FILE", help="texts to embed, one in each line, for the part texts"
    )
    arguments = parser.parse_args()
    settings = replace(Settings(), seed=arguments.seed, sizes=arguments.sizes, texts=arguments.texts)
    if arguments.quick:
        settings = settings.quick()
    if arguments.texts:
        if fault := unfit(settings):
            parser.error(fault)
    elif arguments.parts == PARTS:
        arguments.parts = tuple(part for part in PARTS if part != "texts")
    elif "texts" in arguments.parts:
        parser.error("the part texts needs --texts FILE")
    with own_server() as server:
        servers = server_versions(server)
    options = f"--sizes {','.join(map(str, arguments.sizes))}"
    if arguments.texts:
        options += f" --texts {arguments.texts}"
    measure_parts(NAME, arguments, settings, servers=servers, options=options)
    return 0


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(part) for part in text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
