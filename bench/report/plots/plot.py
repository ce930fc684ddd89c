"""What a plot is, its colours, and how it becomes a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.report.documents import Documents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "COLOURS", "GREEN", "GREY", "ORANGE", "PURPLE", "RED", "Plot", "save"]

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#2563a8", "#d97706", "#2f855a", "#b83232", "#7c4fb0", "#8a8f98"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
_INK, _LINES, _PAPER = "#1f2430", "#d9dce1", "#ffffff"
_DOTS_PER_INCH = 110
_WIDTH = 7.6
_SHADES = 128
"""Colours of a file with their edges; few make it small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One plot.

    Attributes:
        title: For people who do not see it, and above it.
        parts: Benchmark and part of what it shows; some may be missing.
        points: What is drawn, or ``None`` when nothing of it was measured.
        draw: Draws that into an empty figure.
        height: In inches.
    """

    title: str
    parts: Sequence[tuple[str, str]]
    points: Callable[[Documents], Any]
    draw: Callable[[Figure, Any], None]
    height: float = 3.4

    @property
    def benchmarks(self) -> list[str]:
        """Names of what it is drawn from, each once."""
        return list(dict.fromkeys(benchmark for benchmark, _ in self.parts))


def save(plot: Plot, points: Any, path: Path) -> None:
    """Draws into a PNG on white paper, which is readable on light and on dark pages, without date or version inside."""
    import matplotlib as mpl
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    style: Any = {  # matplotlib's type of it names every key
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "axes.edgecolor": _LINES,
        "axes.labelcolor": _INK,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _LINES,
        "grid.linewidth": 0.6,
        "text.color": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "legend.frameon": False,
        "legend.fontsize": 8,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(_WIDTH, plot.height), dpi=_DOTS_PER_INCH, facecolor=_PAPER, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        figure.suptitle(plot.title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        plot.draw(figure, points)
        canvas.draw()  # type: ignore[no-untyped-call]  # it has no annotations
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # nor has it
    drawn = Image.fromarray(pixels).convert("RGB")
    drawn.quantize(_SHADES, dither=Image.Dither.NONE).save(path, optimize=True)
