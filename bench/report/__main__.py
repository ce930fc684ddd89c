"""Draws tables and plots: `python -m bench.report [--results DIR] [--docs PAGE] [--plots DIR] [--check]`.

The page's blocks between ``<!-- bench:NAME -->`` and ``<!-- /bench -->`` are made anew from the documents in DIR, all
other text stays. With ``--check`` nothing is written; the exit code is 1 when a block is not what the documents say.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.catalogue import ROOT
from bench.document import UnreadableDocument
from bench.report.blocks import block, picture
from bench.report.documents import Documents, load
from bench.report.page import UnknownBlock, differing, filled
from bench.report.plots import PLOTS
from bench.report.plots.plot import save

_RESULTS, _PAGE, _PLOTS = Path("bench/results"), Path("docs/performance.md"), Path("docs/images")


def main(words: Sequence[str] | None = None) -> int:
    """Rewrites the page and the plots, or compares them."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=ROOT / _RESULTS, metavar="DIR", help="of the documents")
    parser.add_argument("--docs", type=Path, default=ROOT / _PAGE, metavar="PAGE", help="whose blocks are made anew")
    parser.add_argument("--plots", type=Path, default=ROOT / _PLOTS, metavar="DIR", help="where plots are put")
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    arguments = parser.parse_args(words)
    try:
        documents = load(arguments.results)
        made = partial(block, documents=documents)
        page = arguments.docs.read_text(encoding="utf-8")
        if arguments.check:
            return _checked(differing(page, made), documents, arguments.plots)
        arguments.docs.write_text(filled(page, made), encoding="utf-8")
    except (UnreadableDocument, UnknownBlock) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name, plot in PLOTS.items():
        points = plot.points(documents)
        if points is None:
            print(f"{name:<10} not measured yet: python -m bench.{plot.benchmarks[0]}")
        else:
            path = arguments.plots / picture(name)
            save(plot, points, path)
            print(f"{name:<10} {path.name}, {path.stat().st_size / 1e3:.0f} kB")
    return 0


def _checked(differ: Sequence[str], documents: Documents, plots: Path) -> int:
    """Tables are compared word for word; of plots, only that they are there, for their bytes depend on the fonts."""
    missing = [
        name
        for name, plot in PLOTS.items()
        if plot.points(documents) is not None and not (plots / picture(name)).is_file()
    ]
    for name in differ:
        print(f"the block {name!r} is not what the documents say")
    for name in missing:
        print(f"the plot {picture(name)} is missing")
    if differ or missing:
        print("python -m bench.report draws them anew")
    return int(bool(differ or missing))


if __name__ == "__main__":
    sys.exit(main())
