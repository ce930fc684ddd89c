"""The one similarity scale thresholds are on, from 0 to 1.

In dense mode the similarity is (1 + cosine) / 2. In the hybrid modes a piecewise-linear, monotone map takes the support
of a memory (see `support`) to the scale, so that a threshold injects memories of about the same precision in every
mode. The map belongs to one set of weights computed in one precision: it is looked up by the embedder's fingerprint and
its runtime's precision. `python -m bench.quality.calibrate` fits it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from router_memory.ranking.evidence import Floats
from router_memory.types import precision

__all__ = ["UNFITTED", "Calibration", "calibration_for", "dense_similarity"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map from support to the similarity scale.

    Attributes:
        support: Knots, ascending.
        scale: The similarity in [0, 1] at each knot, ascending; linear between them.
        fitted: Whether it was fitted for the model in use.
    """

    support: tuple[float, ...]
    scale: tuple[float, ...]
    fitted: bool = True

    def similarity(self, support: Floats) -> Floats:
        """The similarity of each candidate in the hybrid modes, in [0, 1]. Shape (n,)."""
        return np.interp(support, self.support, self.scale)


_MINILM = Calibration(
    support=(-1.0, 0.12, 0.25, 0.36, 0.46, 0.63, 0.82, 1.8),
    scale=(0.0, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 1.0),
)
"""all-MiniLM-L6-v2, fp32: fitted on the development conversations."""

UNFITTED = Calibration(_MINILM.support, _MINILM.scale, fitted=False)
"""For other models: MiniLM's map. Cosines of other models are distributed differently, so thresholds
of the hybrid modes are rough there until a map is fitted."""

_MINILM_INT8 = Calibration(
    support=(-1.0, 0.12, 0.25, 0.37, 0.46, 0.6, 0.76, 1.8),
    scale=(0.0, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 1.0),
)
"""all-MiniLM-L6-v2, int8: fitted in the same way."""

_MINILM_PRINT = "all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2"
_FITTED = {(_MINILM_PRINT, "fp32"): _MINILM, (_MINILM_PRINT, "int8"): _MINILM_INT8}
"""Fitted maps, by fingerprint and precision. Prefixes and pooling shift cosines, so the whole fingerprint counts, not
the model's name; so do int8 weights."""


def calibration_for(fingerprint: str, runtime: str) -> Calibration:
    """The map for an embedder; `Calibration.fitted` is false where none was fitted for it.

    Args:
        fingerprint: `Embedder.fingerprint`.
        runtime: `Embedder.runtime`; torch and onnx have one map, for their vectors are the same.
    """
    return _FITTED.get((fingerprint, precision(runtime)), UNFITTED)


def dense_similarity(cosine: Floats) -> Floats:
    """(1 + cosine) / 2, in [0, 1]. Shape (n,)."""
    similarity: Floats = np.clip((1.0 + cosine) / 2.0, 0.0, 1.0)
    return similarity
