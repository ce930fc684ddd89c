"""Flame graphs of a hit and of a miss: who calls whom from the top down, as wide as its share of the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.profile.stacks import ROOMS, room
from bench.report.documents import Documents, figures
from bench.report.plots.plot import COLOURS, GREY, Plot

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PLOT", "Flame", "tree"]

_PARTS = {"hit": "a hit of level 1", "miss": "a miss"}
_TEAL, _LIGHT = "#0f766e", "#c3c7cd"
_COLOURS = dict(zip(ROOMS, (*COLOURS[:5], _TEAL, GREY, _LIGHT), strict=True))
_NARROWEST = 0.004
_CHARACTERS = 180
"""That fit over the whole width."""


@dataclass(slots=True)
class Flame:
    """A function behind its callers, with the samples of all it calls."""

    count: int = 0
    behind: dict[str, Flame] = field(default_factory=dict)


def tree(stacks: Mapping[str, int]) -> Flame:
    """Folded stacks as one tree."""
    root = Flame()
    for stack, count in stacks.items():
        root.count += count
        here = root
        for name in stack.split(";"):
            here = here.behind.setdefault(name, Flame())
            here.count += count
    return root


def points(documents: Documents) -> dict[str, tuple[float, Mapping[str, int]]] | None:
    """Microseconds and stacks of both, by title."""
    found = {title: figures(documents, "profile", part) for part, title in _PARTS.items()}
    return {title: (one["microseconds"], one["stacks"]) for title, one in found.items() if one} or None


def draw(figure: Figure, parts: Mapping[str, tuple[float, Mapping[str, int]]]) -> None:
    """One below the other, with the rooms' colours."""
    shown: dict[str, str] = {}
    for axes, (title, (microseconds, stacks)) in zip(
        figure.subplots(len(parts), squeeze=False)[:, 0], parts.items(), strict=True
    ):
        root = tree(stacks)
        deepest = _draw(axes, root, (), 0.0, root.count, shown)
        axes.set_title(f"{title}, {microseconds:,.0f} µs")
        axes.set_xlim(0, 1)
        axes.set_ylim(deepest, 0)
        axes.set_axis_off()
    handles = [_handle(colour) for colour in shown.values()]
    figure.legend(handles, list(shown), ncols=len(shown), loc="outside lower left", fontsize=7.5)


def _draw(axes: Axes, flame: Flame, stack: tuple[str, ...], left: float, total: int, shown: dict[str, str]) -> int:
    """Draws what is behind a function, the widest first; gives the depth reached."""
    depth = deepest = len(stack)
    for name, one in sorted(flame.behind.items(), key=lambda item: -item[1].count):
        width = one.count / total
        if width >= _NARROWEST:
            inner = (*stack, name)
            of = room(inner)
            colour = shown.setdefault(of, _COLOURS[of])
            axes.barh(depth + 0.5, width, left=left, height=0.94, color=colour, edgecolor="white", linewidth=0.4)
            label = name.strip("()").partition(":")[2] or name
            label = label.replace("<locals>.", "")
            if len(label) <= width * _CHARACTERS:
                axes.text(left + 0.003, depth + 0.5, label, va="center", color="white", fontsize=5.5, clip_on=True)
            deepest = max(deepest, depth + 1, _draw(axes, one, inner, left, total, shown))
        left += width
    return deepest


def _handle(colour: str) -> Artist:
    from matplotlib.patches import Patch

    return Patch(color=colour)


PLOT = Plot(
    title="Where the time of a request goes, by the samples of it",
    parts=[("profile", "hit"), ("profile", "miss")],
    points=points,
    draw=draw,
    height=6.0,
)
