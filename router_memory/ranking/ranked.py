"""Candidates in order, with the similarity and the contributions of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from router_memory.ranking.calibration import Calibration, dense_similarity
from router_memory.ranking.evidence import Evidence
from router_memory.ranking.orders import ORDERS, Contributions, Order
from router_memory.ranking.support import support
from router_memory.types import Hit, RankingMode

__all__ = ["Ranked"]


class Ranked:
    """An ordered list of candidates. A hit is made when it is asked for, since few are, and kept.

    Args:
        evidence: What speaks for each candidate.
        mode: The order, and the similarity that goes with it.
        calibration: The map onto the similarity scale.
        order: In place of the mode's.

    Attributes:
        memo: What later stages derived from it alone, by their own keys, which they bound.
    """

    def __init__(
        self, evidence: Evidence, mode: RankingMode, calibration: Calibration, *, order: Order | None = None
    ) -> None:
        # not the evidence itself: who keeps an order beside its retrieval would make a cycle
        self._records = evidence.retrieval.records
        self._cosine = evidence.cosine
        self._bm25 = evidence.bm25
        self._contributions: Contributions = (order or ORDERS[mode])(evidence) if len(evidence) else {}
        self._score = sum(self._contributions.values(), np.zeros(len(evidence)))
        self._support: Contributions = {}
        if mode is RankingMode.DENSE:
            self._similarity = dense_similarity(evidence.cosine)
        else:
            self._support = support(evidence)
            self._similarity = calibration.similarity(sum(self._support.values(), np.zeros(len(evidence))))
        self._order = np.argsort(-self._score, kind="stable")
        self._hits: dict[int, Hit] = {}
        self.memo: dict[object, Any] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> Hit:
        """The hit at a place, 0 being the best."""
        hit = self._hits.get(place)
        if hit is None:
            hit = self._hits[place] = self._hit(place)
        return hit

    def _hit(self, place: int) -> Hit:
        index = int(self._order[place])
        return Hit(
            record=self._records[index],
            similarity=float(self._similarity[index]),
            score=float(self._score[index]),
            cosine=float(self._cosine[index]),
            lexical=float(self._bm25[index]),
            signals={name: float(values[index]) for name, values in self._contributions.items()},
            support={name: float(values[index]) for name, values in self._support.items()},
            rank=place + 1,
        )
