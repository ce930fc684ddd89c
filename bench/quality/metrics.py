"""Ranking and injection figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.quality.bootstrap import Bootstrap, Floats

__all__ = ["METRICS", "Injection", "Tally", "means", "ranking_figures"]

METRICS = ("R@5", "R@10", "nDCG@10", "MRR")


def ranking_figures(order: Sequence[str], evidence: frozenset[str]) -> dict[str, float]:
    """R@5, R@10, nDCG@10 and MRR of one question; binary relevance."""
    places = [place for place, message in enumerate(order[:10]) if message in evidence]
    best = sum(1.0 / math.log2(place + 2) for place in range(min(10, len(evidence))))
    return {
        "R@5": sum(place < 5 for place in places) / len(evidence),
        "R@10": len(places) / len(evidence),
        "nDCG@10": sum(1.0 / math.log2(place + 2) for place in places) / best,
        "MRR": 1.0 / (places[0] + 1) if places else 0.0,
    }


def means(rows: Sequence[dict[str, float]], bootstrap: Bootstrap) -> dict[str, Any]:
    """The mean of each figure with its interval, and the number of questions; that alone without any."""
    if not rows:
        return {"n": 0}
    values = {name: [row[name] for row in rows] for name in METRICS}
    return {name: statistics.fmean(values[name]) for name in METRICS} | {
        "n": len(rows),
        "confidence_95": {name: bootstrap.mean(values[name]) for name in METRICS},
    }


@dataclass(frozen=True, slots=True)
class Injection:
    """What was injected for a question.

    Attributes:
        injected, right: Number of memories, and how many of them are evidence.
        evidence: Number of evidence messages; 0 for a question asked of another user's memory.
    """

    injected: int
    right: int
    evidence: int

    @classmethod
    def of(cls, messages: Iterable[str], evidence: frozenset[str] = frozenset()) -> Injection:
        """The counts of what was injected; a message in several memories counts once."""
        found = set(messages)
        return cls(len(found), len(found & evidence), len(evidence))


@dataclass(slots=True)
class Tally:
    """What one rule injected, over a whole set.

    Attributes:
        positives: Questions with evidence, asked of their own memory.
        negatives: The same questions asked of another user's memory, in the same order; none where there is no other.
        unanswerable: Questions that nothing in their own memory answers.
    """

    positives: list[Injection] = field(default_factory=list)
    negatives: list[Injection] = field(default_factory=list)
    unanswerable: list[Injection] = field(default_factory=list)

    def figures(self, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
        """The figures, each a share in [0, 1] or ``None`` where nothing was asked.

        precision, recall, F1: Of all memories injected for questions asked of their own memory (micro averages).
        F1mix: F1 that counts what was injected on negatives as errors.
        precision_mix: Precision that does.
        hit_rate: Share of those questions with evidence among what was injected.
        silence: Share of negatives with nothing injected.
        BA: The mean of those two.
        abstention: Share of unanswerable questions with nothing injected.
        confidence_95: Of F1mix, BA, precision and abstention; with `bootstrap` alone.
        """
        rows = self._rows()
        sums = rows.sum(axis=0)[None, :] if len(rows) else np.zeros((1, _WIDTH))
        shares = {name: float(figure(sums)[0]) for name, figure in _FIGURES.items()}
        given = {name: self._given(name) for name in (*_FIGURES, "abstention")}
        silent = [float(one.injected == 0) for one in self.unanswerable]
        figures: dict[str, Any] = shares | {"abstention": sum(silent) / max(len(silent), 1)}
        figures = {name: value if given[name] else None for name, value in figures.items()}
        figures |= {"injected": sum(one.injected for one in self.positives), "unanswerable": len(self.unanswerable)}
        if bootstrap is not None:
            intervals = {
                name: bootstrap.of_sums(rows, _FIGURES[name]) if given[name] else None
                for name in ("precision", "F1mix", "BA")
            }
            figures["confidence_95"] = intervals | {"abstention": bootstrap.mean(silent)}
        return figures

    def _given(self, name: str) -> bool:
        """Whether what the figure is of was asked."""
        if name == "abstention":
            return bool(self.unanswerable)
        return bool(self.negatives if name in _OF_NEGATIVES else self.positives)

    def _rows(self) -> Floats:
        """One row a question: injected, right, evidence, hit, wrong, silent, 1."""
        negatives = self.negatives or [Injection(0, 0, 0)] * len(self.positives)
        rows = [
            (own.injected, own.right, own.evidence, own.right > 0, other.injected, other.injected == 0, 1)
            for own, other in zip(self.positives, negatives, strict=True)
        ]
        return np.array(rows, dtype=np.float64).reshape(len(rows), _WIDTH)


_WIDTH = 7
_INJECTED, _RIGHT, _EVIDENCE, _HIT, _WRONG, _SILENT, _COUNT = range(_WIDTH)
_OF_NEGATIVES = ("precision_mix", "F1mix", "BA", "silence")


def _ratio(upper: Floats, lower: Floats) -> Floats:
    ratio: Floats = np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)
    return ratio


_FIGURES: Mapping[str, Callable[[Floats], Floats]] = {
    "precision": lambda sums: _ratio(sums[:, _RIGHT], sums[:, _INJECTED]),
    "recall": lambda sums: _ratio(sums[:, _RIGHT], sums[:, _EVIDENCE]),
    "F1": lambda sums: _ratio(2 * sums[:, _RIGHT], sums[:, _INJECTED] + sums[:, _EVIDENCE]),
    "precision_mix": lambda sums: _ratio(sums[:, _RIGHT], sums[:, _INJECTED] + sums[:, _WRONG]),
    "F1mix": lambda sums: _ratio(2 * sums[:, _RIGHT], sums[:, _INJECTED] + sums[:, _WRONG] + sums[:, _EVIDENCE]),
    "hit_rate": lambda sums: _ratio(sums[:, _HIT], sums[:, _COUNT]),
    "silence": lambda sums: _ratio(sums[:, _SILENT], sums[:, _COUNT]),
    "BA": lambda sums: _ratio(sums[:, _HIT] + sums[:, _SILENT], 2 * sums[:, _COUNT]),
}
"""Sums over questions, shape (rounds, 7), to a figure of each round."""
