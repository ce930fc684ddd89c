"""Ranking and injection figures."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Injection", "confidence", "injection_figures", "ranking_figures"]


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


def confidence(values: Sequence[float], seed: int, rounds: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    rng = random.Random(seed)
    means = sorted(sum(rng.choices(values, k=len(values))) / len(values) for _ in range(rounds))
    return means[int(rounds * 0.025)], means[int(rounds * 0.975) - 1]


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


def injection_figures(positives: Sequence[Injection], negatives: Sequence[Injection]) -> dict[str, float]:
    """Micro precision, recall, F1; F1mix counts injections on negatives as errors; BA averages hit rate and silence."""
    right = sum(one.right for one in positives)
    injected = sum(one.injected for one in positives)
    wrong = sum(one.injected for one in negatives)
    evidence = sum(one.evidence for one in positives)
    hit = _share(positives, lambda one: one.right > 0)
    silent = _share(negatives, lambda one: one.injected == 0)
    return {
        "precision": right / injected if injected else 0.0,
        "recall": right / evidence if evidence else 0.0,
        "F1": _f1(right, injected, evidence),
        "F1mix": _f1(right, injected + wrong, evidence),
        "BA": (hit + silent) / 2,
        "hit_rate": hit,
        "silence": silent,
    }


def _share(cases: Sequence[Injection], holds: Callable[[Injection], bool]) -> float:
    return sum(map(holds, cases)) / len(cases) if cases else 0.0


def _f1(right: int, injected: int, evidence: int) -> float:
    return 2 * right / (injected + evidence) if injected + evidence else 0.0
