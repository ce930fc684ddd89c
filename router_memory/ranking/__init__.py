"""Scores, fusion, calibration and cut-off: pure and synchronous."""

from router_memory.ranking.calibration import UNFITTED, Calibration, calibration_for
from router_memory.ranking.columns import retrieval_of
from router_memory.ranking.cutoff import cut
from router_memory.ranking.evidence import Evidence
from router_memory.ranking.lexicon import document
from router_memory.ranking.query import Question, rarest, read
from router_memory.ranking.ranked import Ranked
from router_memory.ranking.reflection import Reflection
from router_memory.ranking.signals import SIGNALS, Signal

__all__ = [
    "SIGNALS",
    "UNFITTED",
    "Calibration",
    "Evidence",
    "Question",
    "Ranked",
    "Reflection",
    "Signal",
    "calibration_for",
    "cut",
    "document",
    "rarest",
    "read",
    "retrieval_of",
]
