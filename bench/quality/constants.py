"""The constants that decide what is found, so that figures can be told from those of other constants."""

from __future__ import annotations

from typing import Any

from router_memory.ranking import SIGNALS, Calibration
from router_memory.ranking.cutoff import GATE, GATE_HYBRID, SHARE, SHARE_HYBRID
from router_memory.ranking.support import SUPPORT

__all__ = ["constants"]


def constants(calibration: Calibration) -> dict[str, Any]:
    """Weights, the similarity scale and the adaptive rule, JSON-compatible.

    Args:
        calibration: Of the embedder in use.
    """
    return {
        "signals": {signal.name: signal.weight for signal in SIGNALS},
        "support": {one.name: one.weight for one in SUPPORT},
        "calibration": {"support": list(calibration.support), "scale": list(calibration.scale)},
        "gate": {"hybrid": GATE_HYBRID, **{mode.value: gate for mode, gate in GATE.items()}},
        "share": {"hybrid": SHARE_HYBRID, **{mode.value: share for mode, share in SHARE.items()}},
    }
