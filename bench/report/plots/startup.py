"""How long cold starts take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.report.documents import Documents, figures
from bench.report.plots.plot import BLUE, GREY, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOT"]

_MILLISECONDS = 1e3

Bars = Mapping[str, float]
"""Seconds at the median, by what is started."""


def points(documents: Documents) -> Bars | None:
    """A cold search, and both servers until they answer, by runtime."""
    ready = figures(documents, "startup", "ready") or {}
    starts = {
        "search": figures(documents, "startup", "search") or {},
        "serve, until ready": ready.get("serve", {}),
        "mcp, until initialized": ready.get("mcp", {}),
    }
    bars = {
        f"{what}, {runtime}": one["ms"] / _MILLISECONDS
        for what, runtimes in starts.items()
        for runtime, one in runtimes.items()
    }
    return bars or None


def draw(figure: Figure, bars: Bars) -> None:
    """A bar each; those of torch are grey."""
    axes = figure.subplots()
    axes.barh(
        list(bars), list(bars.values()), color=[GREY if "torch" in label else BLUE for label in bars], height=0.65
    )
    for place, seconds in enumerate(bars.values()):
        axes.text(seconds, place, f" {seconds:.2f} s", va="center", fontsize=8)
    axes.set_xlim(0, 1.15 * max(bars.values()))
    axes.set_xlabel("seconds, median")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


PLOT = Plot(
    title="Cold starts", parts=[("startup", "search"), ("startup", "ready")], points=points, draw=draw, height=2.8
)
