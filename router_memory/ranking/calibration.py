"""The one similarity scale thresholds are on, from 0 to 1.

In dense mode the similarity is (1 + cosine) / 2. In the hybrid modes the evidence is

    A = cosine + 0.5 · coverage + 0.5 · coverage of the window

and a piecewise-linear, monotone map takes A to the scale, so that a threshold injects memories of
about the same precision in every mode. The map belongs to one set of weights in full precision: it
is looked up by the embedder's fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from router_memory.ranking.evidence import Evidence, Floats
from router_memory.types import RankingMode

__all__ = ["UNFITTED", "Calibration", "calibration_for", "similarity"]

COVERAGE_WEIGHT = 0.5
WINDOW_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map from the evidence A to the similarity scale.

    Attributes:
        evidence: Knots of A, ascending.
        scale: The similarity in [0, 1] at each knot, ascending; linear between them.
        fitted: Whether it was fitted for the model in use.
    """

    evidence: tuple[float, ...]
    scale: tuple[float, ...]
    fitted: bool = True


_MINILM = Calibration(
    evidence=(-1.0, 0.0, 0.26, 0.41, 0.54, 0.81, 1.02, 2.0),
    scale=(0.0, 0.56, 0.65, 0.70, 0.75, 0.80, 0.85, 1.0),
)
"""all-MiniLM-L6-v2, fp32: equal pooled precision of the top 5 on the development conversations."""

UNFITTED = Calibration(_MINILM.evidence, _MINILM.scale, fitted=False)
"""For other models: MiniLM's map. Cosines of other models are distributed differently, so thresholds
of the hybrid modes are rough there until a map is fitted."""

_BY_FINGERPRINT = {"all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2": _MINILM}
"""Fitted maps. Prefixes and pooling shift cosines, so the whole fingerprint counts, not the model's name."""


def calibration_for(fingerprint: str) -> Calibration:
    """The map for an embedder (`Embedder.fingerprint`); `Calibration.fitted` is false where none was fitted for it."""
    return _BY_FINGERPRINT.get(fingerprint, UNFITTED)


def similarity(evidence: Evidence, mode: RankingMode, calibration: Calibration) -> Floats:
    """Each candidate's similarity in [0, 1]. Shape (n,)."""
    if mode is RankingMode.DENSE:
        dense: Floats = np.clip((1.0 + evidence.cosine) / 2.0, 0.0, 1.0)
        return dense
    total = evidence.cosine + COVERAGE_WEIGHT * evidence.coverage + WINDOW_WEIGHT * evidence.window_coverage
    return np.interp(total, calibration.evidence, calibration.scale)
