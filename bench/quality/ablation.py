"""What each signal of the rerank brings: the ranking figures without it."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.quality.asking import Asking, messages
from bench.quality.metrics import METRICS, means, ranking_figures
from bench.quality.modes import RANKED
from router_memory.ranking import SIGNALS, Evidence, Ranked
from router_memory.ranking.orders import by_rerank
from router_memory.types import RankingMode

if TYPE_CHECKING:
    from bench.quality.bootstrap import Bootstrap

__all__ = ["Ablation"]

_ALL = "all signals"


class Ablation:
    """The rerank without one signal at a time. Implements `Part`."""

    def __init__(self) -> None:
        everything = {_ALL: SIGNALS}
        without = {one.name: tuple(signal for signal in SIGNALS if signal is not one) for one in SIGNALS}
        self._orders = {name: partial(by_rerank, signals=signals) for name, signals in (everything | without).items()}
        self._rows: dict[str, list[dict[str, float]]] = {name: [] for name in self._orders}

    async def ask(self, asking: Asking) -> None:
        """See `Part.ask`."""
        if not asking.answerable:
            return
        evidence = Evidence(await asking.retrieval(asking.own, RankingMode.RERANK))
        for name, order in self._orders.items():
            ranked = Ranked(evidence, RankingMode.RERANK, asking.lookups.calibration, order=order)
            found = messages([ranked[place] for place in range(min(RANKED, len(ranked)))], asking.own)
            self._rows[name].append(ranking_figures(found, asking.question.evidence))

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """For each signal the figures without it, and how much higher they are with it, paired by question."""
        full = {metric: [row[metric] for row in self._rows[_ALL]] for metric in METRICS}
        found: dict[str, Any] = {_ALL: means(self._rows[_ALL], bootstrap)}
        for name, rows in self._rows.items():
            if name == _ALL or not rows:
                continue
            less = {metric: [row[metric] for row in rows] for metric in METRICS}
            found[name] = {metric: statistics.fmean(less[metric]) for metric in METRICS} | {
                "brings": {
                    metric: statistics.fmean(full[metric]) - statistics.fmean(less[metric]) for metric in METRICS
                },
                "confidence_95": {metric: bootstrap.difference(full[metric], less[metric]) for metric in METRICS},
            }
        return found
