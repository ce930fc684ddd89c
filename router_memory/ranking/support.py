"""What speaks for a memory whatever the other candidates are: the sum that the similarity scale is made of.

Signals order the candidates of one question; their z-scores say nothing of whether the best one answers it. Support
is absolute. Its weights were chosen on development conversations, with the same question asked of another user's
memory, and questions that nothing answers, as negatives.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from router_memory.ranking.evidence import Evidence, Floats
from router_memory.ranking.signals import Signal

__all__ = ["SUPPORT", "support"]


def cosine(evidence: Evidence) -> Floats:
    """The meaning of its nearest part is near the question's."""
    return evidence.cosine


def coverage(evidence: Evidence) -> Floats:
    """It holds what the question tells, rare words first."""
    return evidence.coverage


def window(evidence: Evidence) -> Floats:
    """It holds that together with the messages before and behind it, as far as they need each other."""
    held = evidence.term_presence.copy()
    for offset in (-1, 1):
        here, there = evidence.neighbours(offset)
        lent = evidence.context_weight[here] * evidence.context_weight[there]
        held[here] = np.maximum(held[here], lent[:, None] * evidence.term_presence[there])
    return evidence.share(held)


def reply(evidence: Evidence) -> Floats:
    """It answers somebody who has just asked for what the question tells."""
    here, there = evidence.replies
    total = np.zeros(len(evidence))
    total[here] = (evidence.coverage * evidence.context_weight)[there]
    return evidence.context_weight * total


def other_speaker(evidence: Evidence) -> Floats:
    """The question names somebody who speaks in these memories, and somebody else said it."""
    columns = evidence.columns
    others = (columns.speaker >= 0) & ~columns.spoken
    return others.astype(np.float64) if evidence.retrieval.names else np.zeros(len(evidence))


def assistant(evidence: Evidence) -> Floats:
    """The assistant said it."""
    return evidence.columns.assistant.astype(np.float64)


SUPPORT = (
    Signal("cosine", 1.0, cosine),
    Signal("coverage", 0.3, coverage),
    Signal("window", 0.2, window),
    Signal("reply", 0.3, reply),
    Signal("other_speaker", -0.5, other_speaker),
    Signal("assistant", -0.2, assistant),
)
"""What the similarity of the hybrid modes is made of, before it is put on the scale."""


def support(evidence: Evidence) -> Mapping[str, Floats]:
    """What each of `SUPPORT` gives each candidate, weighted; their sum is what is put on the scale. Shape (n,) each."""
    return {one.name: one.weight * one.values(evidence) for one in SUPPORT}
