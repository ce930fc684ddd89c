"""Tables in Markdown: the claims of a run with its command and machine, and figures as they are written everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.document import Environment, Part, Stated
from bench.report.documents import runs

__all__ = ["claims", "markdown", "milliseconds", "not_measured", "number", "percent", "run", "target"]

_PLACES = 3
_MOST_PLACES = 6
"""After the point, of figures near zero."""
_SHOWN = ("torch", "onnxruntime", "numpy", "usearch")
_VERDICTS = {True: ", met", False: ", **missed**", None: ""}


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """A table whose first columns are words and whose others are numbers, with a line break at its end."""
    rule = ["---" if place < words else "---:" for place in range(len(head))]
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in (head, rule, *rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def claims(parts: Mapping[str, Part]) -> str:
    """Each run's command and machine with the table of its claims."""
    return "\n".join(
        f"{run(one)}\n{_table([claim for name in names for claim in parts[name].claims], quick=one.quick)}"
        for one, names in runs(parts)
    )


def run(part: Part) -> str:
    """What was typed, when, on which kind of machine and with which versions."""
    how = "A quick run: fewer rounds and less data, so that its figures are rough. " if part.quick else ""
    missing = f" Not measured: {part.facts['not_measured']}." if part.facts.get("not_measured") else ""
    before = part.facts.get("load_before")
    load = "" if before is None else f" Load of the machine when it began: {number(before)}."
    return f"```console\n$ {part.command}\n```\n\n{how}{_where(part.environment)}{load}{missing}\n"


def not_measured(name: str) -> str:
    """In place of figures that there are none of."""
    return f"*Not measured yet: `python -m bench.{name} --json bench/results/{name}.json`*\n"


def target(claim: Stated) -> str:
    """With its verdict; empty without one."""
    return f"{claim.target}{_VERDICTS[claim.met]}"


def number(value: float | None) -> str:
    """Three places that count, e.g. 1,234 · 123 · 12.3 · 1.23 · 0.123 · 0.0123; a dash for none."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (_PLACES - 1) or (abs(value) >= 10 and value == int(value)):
        return f"{value:,.0f}".replace("-", "−")
    rounded = float(f"{value:.{_PLACES}g}")
    places = _PLACES - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{min(places, _MOST_PLACES)}f}".replace("-", "−")


def milliseconds(value: float | None) -> str:
    """With its unit."""
    return f"{number(value)} ms" if value is not None else number(value)


def percent(share: float | None) -> str:
    """Of a share in [0, 1]."""
    return "–" if share is None else f"{share:.0%}".replace("%", " %")


def _table(stated: Sequence[Stated], *, quick: bool) -> str:
    rows = [[claim.name, number(claim.value), target(claim)] for claim in stated]
    return markdown(["figure", "value, quick run" if quick else "value", "target"], rows)


def _where(environment: Environment) -> str:
    versions = [f"Python {environment.python}"]
    versions += [f"{name} {environment.versions[name]}" for name in _SHOWN if name in environment.versions]
    versions += [f"{name} {version}" for name, version in environment.servers.items()]
    processor = f" ({environment.processor})" if environment.processor else ""
    return (
        f"{environment.date}, {environment.cpus} {environment.machine} processors{processor}, {environment.system}, "
        f"seed {environment.seed}; {', '.join(versions)}."
    )
