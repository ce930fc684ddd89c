"""The ranking figures of each mode, and what each injects at equal thresholds: is it one similarity scale?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bench.quality.asking import Asking
from bench.quality.metrics import Tally, means, ranking_figures
from bench.quality.rules import LIMIT, add
from router_memory.types import CutoffRule, RankingMode

if TYPE_CHECKING:
    from bench.quality.bootstrap import Bootstrap
    from bench.quality.data import Conversation

__all__ = ["LEAST_INJECTED", "RANKED", "EqualThresholds", "Modes", "spread"]

RANKED = 10
"""Memories asked for where ranking is measured, at a threshold of 0."""

THRESHOLDS = (0.60, 0.65, 0.70, 0.75, 0.80)

LEAST_INJECTED = 50
"""A share of fewer memories says nothing, and is not compared with others."""


class Modes:
    """Ranking figures of each mode. Implements `Part`."""

    def __init__(self) -> None:
        self._rows: dict[RankingMode, list[dict[str, float]]] = {mode: [] for mode in RankingMode}

    async def ask(self, asking: Asking) -> None:
        """See `Part.ask`."""
        if not asking.answerable:
            return
        for mode, rows in self._rows.items():
            order = await asking.search(asking.own, limit=RANKED, threshold=0.0, mode=mode)
            rows.append(ranking_figures(order, asking.question.evidence))

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """See `Part.figures`."""
        return {mode.value: means(rows, bootstrap) for mode, rows in self._rows.items()}


class EqualThresholds:
    """The share of what is injected that is evidence: top 5, adaptive off. Implements `Part`.

    Questions are asked of their own memory and of another user's, for a threshold is there to tell these apart too:
    without the others, a better order alone would make the shares of two modes differ at a threshold of 0.
    """

    def __init__(self) -> None:
        self._tallies = {(threshold, mode): Tally() for threshold in THRESHOLDS for mode in RankingMode}

    async def ask(self, asking: Asking) -> None:
        """See `Part.ask`."""
        if not asking.answerable:
            return
        for (threshold, mode), tally in self._tallies.items():
            await add(tally, asking, _at(threshold, mode))

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """For each threshold the modes, and the largest difference between two of them that inject enough."""
        found: dict[str, Any] = {}
        for threshold in THRESHOLDS:
            modes = {mode.value: self._shares(threshold, mode, bootstrap) for mode in RankingMode}
            found[f"{threshold:.2f}"] = {"modes": modes, "spread": spread(modes.values())}
        return found

    def _shares(self, threshold: float, mode: RankingMode, bootstrap: Bootstrap) -> dict[str, Any]:
        tally = self._tallies[threshold, mode]
        figures = tally.figures(bootstrap)
        share = figures["precision_mix" if tally.negatives else "precision"]
        injected = sum(one.injected for one in (*tally.positives, *tally.negatives))
        return {"share": share, "injected": injected, "precision": figures["precision"], "recall": figures["recall"]}


def _at(threshold: float, mode: RankingMode) -> Callable[[Asking, Conversation], Awaitable[list[str]]]:
    async def choose(asking: Asking, whose: Conversation) -> list[str]:
        return await asking.search(whose, limit=LIMIT, threshold=threshold, mode=mode, cutoff=CutoffRule.FIXED)

    return choose


def spread(shares: Iterable[Mapping[str, Any]]) -> float | None:
    """The largest difference of `share` between those with enough `injected`; ``None`` with fewer than two."""
    compared = [one["share"] for one in shares if one["injected"] >= LEAST_INJECTED]
    return max(compared) - min(compared) if len(compared) > 1 else None
