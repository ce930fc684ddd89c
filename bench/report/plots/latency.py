"""How long a search takes by number of memories, embedding excluded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report.documents import Documents, figures
from bench.report.plots.plot import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOT"]


@dataclass(frozen=True, slots=True)
class Line:
    """One store or floor.

    Attributes:
        label: In the legend.
        colour: Of the line.
        floor: Whether it is what the others are compared with.
        at: Memories, and milliseconds at the median; ascending.
    """

    label: str
    colour: str
    at: Sequence[tuple[int, float]]
    floor: bool = False


def points(documents: Documents) -> list[Line] | None:
    """What there is of stages, scale and valkey."""
    return [line for line in _lines(documents) if line.at] or None


def _lines(documents: Documents) -> Iterator[Line]:
    stages = (figures(documents, "stages", "stages") or {"stages": {}})["stages"]
    scanned = [
        (size, stages[name]["median_seconds"] * 1e3)
        for size in (100, 1_000, 10_000)
        if (name := f"candidates_{size}") in stages
    ]
    yield Line("embedded, all of one user", BLUE, scanned)
    scope = figures(documents, "scale", "scope")
    if scope:
        yield Line("the same, with a graph", PURPLE, [(scope["memories"], scope["both"]["p50_ms"])])
    users = figures(documents, "scale", "users")
    yield Line("embedded, 100 of each user", GREEN, [(users["memories"], users["hot"]["p50_ms"])] if users else [])
    if scope:
        yield Line(
            "floor: numpy over all of one user", GREY, [(scope["memories"], scope["numpy"]["p50_ms"])], floor=True
        )
    searches = (figures(documents, "valkey", "searches") or {"sizes": {}})["sizes"]
    sizes = sorted(map(int, searches))
    for name, label, colour in (
        ("store", "Valkey, 100 of each user", ORANGE),
        ("bare_pipeline", "floor: its bare FT.SEARCH", RED),
    ):
        found = [(size, searches[str(size)][name]["p50_ms"]) for size in sizes]
        yield Line(label, colour, found, floor=name != "store")


def draw(figure: Figure, lines: Sequence[Line]) -> None:
    """Both axes logarithmic; floors dashed."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes = figure.subplots()
    for line in lines:
        axes.plot(
            [size for size, _ in line.at],
            [took for _, took in line.at],
            marker="o",
            markersize=4.5,
            linewidth=1.6,
            linestyle="--" if line.floor else "-",
            color=line.colour,
            markerfacecolor="white" if line.floor else line.colour,
            label=line.label,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("memories in the store")
    axes.set_ylabel("ms, median")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


PLOT = Plot(
    title="A search by number of memories, embedding excluded",
    parts=[("stages", "stages"), ("scale", "users"), ("scale", "scope"), ("valkey", "searches")],
    points=points,
    draw=draw,
)
