"""How many requests a second several callers get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report.documents import Documents, figures
from bench.report.plots.plot import COLOURS, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOT"]


@dataclass(frozen=True, slots=True)
class Line:
    """One runtime of ours, or a bare embedder.

    Attributes:
        label: In the legend.
        floor: Whether it only embeds, a batch at a time.
        at: Callers, and requests or texts a second; ascending.
    """

    label: str
    floor: bool
    at: Sequence[tuple[int, float]]


def points(documents: Documents) -> list[Line] | None:
    """Requests of each runtime, and what bare embedders do in batches of as many."""
    found = figures(documents, "throughput", "callers")
    if not found:
        return None
    counts = sorted(map(int, found))
    names = dict.fromkeys(
        name for count in counts for name, rates in found[str(count)].items() if isinstance(rates, dict)
    )
    return [
        Line(
            f"texts, {name}" if floor else f"requests, {name}",
            floor,
            [(count, found[str(count)][name]["a_second"]) for count in counts if name in found[str(count)]],
        )
        for name in names
        for floor in ["p50_ms" not in found[str(counts[0])].get(name, {})]
    ]


def draw(figure: Figure, lines: Sequence[Line]) -> None:
    """Both axes logarithmic; bare embedders dashed."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes = figure.subplots()
    for place, line in enumerate(lines):
        axes.plot(
            [callers for callers, _ in line.at],
            [rate for _, rate in line.at],
            marker="o",
            markersize=4.5,
            linestyle="--" if line.floor else "-",
            color=COLOURS[place % len(COLOURS)],
            markerfacecolor="white" if line.floor else COLOURS[place % len(COLOURS)],
            label=line.label,
        )
    callers = sorted({callers for line in lines for callers, _ in line.at})
    axes.set_xscale("log")
    axes.set_xticks(callers, [str(one) for one in callers], minor=False)
    axes.minorticks_off()
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("callers at once")
    axes.set_ylabel("a second")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


PLOT = Plot(
    title="Requests a second by callers", parts=[("throughput", "callers")], points=points, draw=draw, height=3.0
)
