"""What the cache did on the generated day of agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.report.documents import Documents, figures
from bench.report.plots.plot import BLUE, GREEN, GREY, ORANGE, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PLOT"]

_FORMS = {
    "without": "no cache",
    "level 1 alone": "level 1",
    "both levels": "both levels",
    "both levels, 3 processes": "both, 3 processes",
}
_SHARES = {"level_1": ("level 1", BLUE), "level_2": ("level 2", ORANGE), "joined": ("joined", GREEN)}

Rows = Mapping[str, Mapping[str, Any]]


def points(documents: Documents) -> Rows | None:
    """Figures of each store and form of the cache, by the label of its bar."""
    found = figures(documents, "cache", "trace")
    if found is None:
        return None
    return {
        f"{store}, {label}": found[store.lower()][name]
        for store in ("embedded", "Valkey")
        for name, label in _FORMS.items()
        if name in found.get(store.lower(), {})
    }


def draw(figure: Figure, rows: Rows) -> None:
    """Shares of the requests on the left, latency on the right."""
    left, right = figure.subplots(1, 2, sharey=True)
    labels = list(rows)
    before = [0.0] * len(rows)
    for key, (name, colour) in _SHARES.items():
        shares = [row[key] * 100 for row in rows.values()]
        left.barh(labels, shares, left=before, color=colour, height=0.65, label=name)
        before = [start + share for start, share in zip(before, shares, strict=True)]
    left.set_xlim(0, 100)
    left.set_xlabel("% of requests answered without a search")
    left.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    means = [row["mean_ms"] for row in rows.values()]
    right.barh(labels, means, color=[GREY if row["level_1"] == 0 else BLUE for row in rows.values()], height=0.65)
    for place, mean in enumerate(means):
        right.text(mean, place, f" {mean:.1f}", va="center", fontsize=8)
    right.set_xlim(0, 1.15 * max(means))
    right.set_xlabel("mean latency, ms")
    left.invert_yaxis()
    for axes in (left, right):
        axes.grid(visible=False, axis="y")


PLOT = Plot(title="A generated day of agents", parts=[("cache", "trace")], points=points, draw=draw, height=3.3)
