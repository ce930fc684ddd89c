"""Candidates in order, with the similarity and the contributions of each."""

from __future__ import annotations

import numpy as np

from router_memory.ranking.calibration import Calibration, similarity
from router_memory.ranking.evidence import Evidence
from router_memory.ranking.orders import ORDERS, Contributions
from router_memory.types import Hit, RankingMode

__all__ = ["Ranked"]


class Ranked:
    """An ordered list of candidates. A hit is made when it is asked for, since few are."""

    def __init__(self, evidence: Evidence, mode: RankingMode, calibration: Calibration) -> None:
        self._evidence = evidence
        self._contributions: Contributions = ORDERS[mode](evidence) if evidence.candidates else {}
        self._score = sum(self._contributions.values(), np.zeros(len(evidence.candidates)))
        self._similarity = similarity(evidence, mode, calibration)
        self._order = np.argsort(-self._score, kind="stable")

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> Hit:
        """The hit at a place, 0 being the best."""
        index = int(self._order[place])
        candidate = self._evidence.candidates[index]
        return Hit(
            record=candidate.record,
            similarity=float(self._similarity[index]),
            score=float(self._score[index]),
            cosine=float(self._evidence.cosine[index]),
            lexical=float(self._evidence.bm25[index]),
            signals={name: float(values[index]) for name, values in self._contributions.items()},
        )
