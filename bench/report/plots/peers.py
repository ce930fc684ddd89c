"""How well and how fast each product finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from bench.report.documents import Documents, figures
from bench.report.plots.plot import BLUE, COLOURS, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOT"]

_OURS = "router-memory"

Sizes = Mapping[str, Mapping[str, tuple[float, float]]]
"""By size: milliseconds at the median and R@10 of each product that was measured to the end."""


def points(documents: Documents) -> Sizes | None:
    """As shipped. The floor, which is filled by nothing, and what was not measured to its end are left out."""
    found = figures(documents, "peers", "shipped")
    if found is None:
        return None
    sizes = {
        f"{size['memories']:,} memories of {size['users']:,} users": {
            name: (row["search"]["p50_ms"], row["R@10"])
            for name, row in size["rows"].items()
            if row.get("added_by") and row.get("R@10") is not None and "p50_ms" in row.get("search", {})
        }
        for size in found["sizes"].values()
    }
    return {name: rows for name, rows in sizes.items() if rows} or None


def draw(figure: Figure, sizes: Sizes) -> None:
    """A panel for each size; upper left is best. Ours are blue, and each product has a sign of its own."""
    from matplotlib.ticker import LogLocator, NullFormatter

    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    signs = _signs(list(dict.fromkeys(name for rows in sizes.values() for name in rows)))
    for axes, (name, rows) in zip(panels, sizes.items(), strict=True):
        for product, (took, recall) in rows.items():
            colour, sign = signs[product]
            axes.plot([took], [recall], sign, color=colour, markersize=7, alpha=0.85, label=product)
        axes.set_xscale("log")
        axes.margins(x=0.12, y=0.15)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(name)
        axes.set_xlabel("search with its embedding, ms, median")
    panels[0].set_ylabel("R@10")
    marks = {label: mark for axes in panels for mark, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=3)


def _signs(products: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Colour and marker of each."""
    ours = [name for name in products if name.startswith(_OURS)]
    others = [name for name in products if name not in ours]
    signs = {name: (BLUE, sign) for name, sign in zip(ours, cycle("oPXp*"), strict=False)}
    return signs | {
        name: (colour, sign) for name, colour, sign in zip(others, cycle(COLOURS[1:]), cycle("s^vD<>"), strict=False)
    }


PLOT = Plot(
    title="Recall and speed, each product as shipped",
    parts=[("peers", "shipped")],
    points=points,
    draw=draw,
    height=3.8,
)
