"""Tables in the terminal, and as Markdown in the documentation between marks."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from bench.quality.table import Table, tables
from bench.quality.writing import opened

__all__ = ["filled", "markdown", "report", "show"]

WIDTH = 160
"""Of the tables where the output is no terminal."""


def show(document: Mapping[str, Any]) -> None:
    """Prints the tables of a run."""
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    for table in tables([document]):
        drawn = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for place, head in enumerate(table.head):
            drawn.add_column(head, justify="left" if place < table.numbers else "right")
        before = ""
        for row in table.rows:
            drawn.add_row(row[0] if row[0] != before else "", *row[1:])
            before = row[0]
        console.print(drawn)
        console.print()


def markdown(table: Table) -> str:
    """The table in Markdown, with a line break at the end."""
    rule = ["---" if place < table.numbers else "---:" for place in range(len(table.head))]
    return "".join(f"| {' | '.join(row)} |\n" for row in (table.head, rule, *table.rows))


def filled(page: str, documents: Sequence[Mapping[str, Any]]) -> str:
    """A page with each table put between its marks ``<!-- quality: NAME -->`` and ``<!-- end -->``.

    The mark ``run`` takes the command of the first document, with its seed, date and surroundings.

    Raises:
        SystemExit: The page has a mark for a table that the documents do not hold.
    """
    made = {table.name: markdown(table) for table in tables(documents)} | {"run": _run(documents[0])}

    def put(mark: re.Match[str]) -> str:
        if mark["name"] not in made:
            raise SystemExit(f"the page has a mark for {mark['name']!r}, the files hold {', '.join(sorted(made))}")
        return f"{mark['begin']}\n{made[mark['name']]}{mark['end']}"

    marks = r"(?P<begin><!-- quality: (?P<name>\w+) -->)\n.*?(?P<end><!-- end -->)"
    return re.sub(marks, put, page, flags=re.DOTALL)


def _run(document: Mapping[str, Any]) -> str:
    where = document["environment"]
    torch = where["versions"]["torch"]
    return (
        f"```sh\n{document['command']} --json OUT\n```\n\n"
        f"Seed {where['seed']}, {where['date']}, {where['cpus']} processors, backend {document['backend']}, "
        f"runtime {document['runtime']}, torch {torch}.\n"
    )


def report(arguments: Sequence[str]) -> None:
    """`python -m bench.quality report FILE... [--into PAGE]`: tables of earlier runs as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality report", description=report.__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="what --json wrote")
    parser.add_argument(
        "--into", type=Path, metavar="PAGE", help="a page whose marks are filled; else they are printed"
    )
    asked = parser.parse_args(arguments)
    documents = [opened(path) for path in asked.files]
    if asked.into is not None:
        asked.into.write_text(filled(asked.into.read_text(encoding="utf-8"), documents), encoding="utf-8")
        return
    for table in tables(documents):
        print(f"<!-- quality: {table.name} -->\n{markdown(table)}<!-- end -->\n")
