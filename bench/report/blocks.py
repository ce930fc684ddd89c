"""What stands in a block of a page, by its name.

``service``: all parts of a benchmark. ``service/off,hit``: some. ``service/run``: commands and machines alone.
``stages/times`` and the like: tables of their own, see `bench.report.special`. ``answer/cost``: see
`bench.report.answers`. ``plot/stages``: a plot.
"""

from __future__ import annotations

from bench.catalogue import BENCHMARKS
from bench.document import Part
from bench.report.answers import ANSWERS, answer
from bench.report.documents import Documents, runs
from bench.report.page import UnknownBlock
from bench.report.plots import PLOTS
from bench.report.special import SPECIAL
from bench.report.tables import claims, not_measured, run

__all__ = ["block", "picture"]


def block(name: str, documents: Documents) -> str:
    """The text of a block, in Markdown.

    Raises:
        UnknownBlock: There is no such block.
    """
    first, _, rest = name.partition("/")
    if name in SPECIAL:
        benchmark, made = SPECIAL[name]
        return made(documents) or not_measured(benchmark)
    if first == "answer" and rest in ANSWERS:
        return answer(rest, documents)
    if first == "plot" and rest in PLOTS:
        return _plot(rest, documents)
    if first not in {one.name for one in BENCHMARKS}:
        raise UnknownBlock(f"there is no block {name!r}")
    return _measured(first, rest, documents)


def picture(name: str) -> str:
    """File name of a plot."""
    return f"bench-{name}.png"


def _measured(benchmark: str, rest: str, documents: Documents) -> str:
    document = documents.get(benchmark)
    if document is None:
        return not_measured(benchmark)
    if rest == "run":
        return "\n".join(run(one) for one, _ in runs(document.parts))
    if not rest:
        return claims(document.parts)
    parts: dict[str, Part] = {}
    lacking = []
    for name in rest.split(","):
        if name in document.parts:
            parts[name] = document.parts[name]
        else:
            lacking.append(f"*Not measured yet: `python -m bench.{benchmark} --parts {name}`*\n")
    return "\n".join([claims(parts), *lacking])


def _plot(name: str, documents: Documents) -> str:
    plot = PLOTS[name]
    if plot.points(documents) is None:
        return not_measured(plot.benchmarks[0])
    commands = [
        f"`{one.command}`"
        for benchmark, part in plot.parts
        if (document := documents.get(benchmark)) and (one := document.parts.get(part))
    ]
    return f"![{plot.title}](images/{picture(name)})\n\nDrawn from {', '.join(dict.fromkeys(commands))}.\n"
