"""The plots: what each shows, from which parts, and how it is drawn. matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping

from bench.report.plots import callers, day, flames, latency, peers, stages, startup
from bench.report.plots.plot import Plot

__all__ = ["PLOTS", "Plot"]

PLOTS: Mapping[str, Plot] = {
    "stages": stages.PLOT,
    "flames": flames.PLOT,
    "latency": latency.PLOT,
    "callers": callers.PLOT,
    "peers": peers.PLOT,
    "day": day.PLOT,
    "startup": startup.PLOT,
}
