"""What a request's time consists of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bench.report.documents import Documents, figures
from bench.report.plots.plot import COLOURS, GREY, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOT"]

_EMBEDDING = {"embed": "torch", "embed_configured": "default runtime"}
_STAGES = {"candidates_1000": "candidates", "rerank_100": "rerank", "inject_10": "inject"}

Bars = Mapping[str, Mapping[str, float]]
"""By embedding: shares of one embedding by torch, by what takes them."""


def points(documents: Documents) -> Bars | None:
    """A request of a user with 1,000 memories, once with torch and once with the default runtime."""
    found = figures(documents, "stages", "stages")
    if found is None:
        return None
    ratios = {name: one["ratio_to_embed"] for name, one in found["stages"].items()}
    known = {label: ratios[name] for name, label in _STAGES.items()}
    rest = max(ratios["on_request_without_embedding"] - sum(known.values()), 0.0)
    return {
        label: {"embedding": ratios[name], **known, "all else": rest}
        for name, label in _EMBEDDING.items()
        if name in ratios
    }


def draw(figure: Figure, bars: Bars) -> None:
    """A bar for each embedding, its pieces side by side."""
    axes = figure.subplots()
    axes.grid(visible=False, axis="y")
    pieces = list(next(iter(bars.values())))
    for place, shares in enumerate(bars.values()):
        left = 0.0
        for piece, colour in zip(pieces, (*COLOURS[: len(pieces) - 1], GREY), strict=True):
            share = shares[piece]
            axes.barh(place, share, left=left, color=colour, height=0.6, label=piece if not place else None)
            if share > 0.04:
                axes.text(left + share / 2, place, f"{share:.2f}", ha="center", va="center", color="white", fontsize=8)
            left += share
        axes.text(left + 0.01, place, f"{left:.2f}", va="center", fontsize=8.5)
    axes.set_yticks(range(len(bars)), list(bars))
    axes.invert_yaxis()
    axes.set_xlabel("share of one embedding by torch")
    axes.set_xlim(0, 1.08 * max(sum(shares.values()) for shares in bars.values()))
    axes.legend(ncols=len(pieces), loc="upper left", bbox_to_anchor=(0, -0.28))


PLOT = Plot(
    title="A request of a user with 1,000 memories",
    parts=[("stages", "stages")],
    points=points,
    draw=draw,
    height=2.4,
)
