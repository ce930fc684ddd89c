"""What a decision asks for: the resolved configuration as the inner layers see it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "CutoffRule",
    "DecisionPolicy",
    "InjectPolicy",
    "RankingMode",
    "RecallPolicy",
    "ReflectionAlgorithm",
    "ReflectionPolicy",
    "WritePolicy",
]


class RankingMode(StrEnum):
    """How candidates are ordered."""

    DENSE = "dense"
    """By cosine alone: ``hybrid_search: false``."""
    RERANK = "rerank"
    """By standardised dense, lexical and context signals together."""
    WEIGHTED = "weighted"
    """By 0.7 vector + 0.2 BM25 + 0.1 character 3-grams, the reference's weights."""
    RRF = "rrf"
    """By reciprocal rank fusion of the dense and the BM25 order."""


class CutoffRule(StrEnum):
    """How the threshold of one request is found."""

    FIXED = "fixed"
    """The configured threshold."""
    RELATIVE = "relative"
    """Raised with the best candidate: the adaptive threshold."""
    ELBOW = "elbow"
    """Raised to the largest gap between neighbouring scores, the reference's rule."""


class ReflectionAlgorithm(StrEnum):
    """What is dropped between the cut-off and the injection."""

    HEURISTIC = "heuristic"
    """Block patterns, near-duplicates (the better ranked stays), token budget."""
    RECENCY_SEMANTIC = "recency_semantic"
    """The same, but of two near-duplicates the newer stays."""
    NOOP = "noop"
    """Only what matches a block pattern."""


@dataclass(frozen=True, slots=True)
class RecallPolicy:
    """How memories are found for a request.

    Attributes:
        limit: Most memories returned, ≥ 1.
        threshold: Least similarity in [0, 1], see `Hit.similarity`.
        mode: How candidates are ordered.
        cutoff: How the threshold is raised.
    """

    limit: int = 5
    threshold: float = 0.70
    mode: RankingMode = RankingMode.DENSE
    cutoff: CutoffRule = CutoffRule.FIXED


@dataclass(frozen=True, slots=True)
class ReflectionPolicy:
    """What is dropped between the cut-off and the injection.

    Attributes:
        max_inject_tokens: Budget of the injected block, in tokens of the counter `utf8-bytes/4`.
        recency_decay_days: Half-life by which older memories are dropped first when the budget is short.
        dedup_threshold: Share of common words in [0, 1] from which two memories are near-duplicates.
        block_patterns: A memory that matches one is not injected.
    """

    algorithm: ReflectionAlgorithm = ReflectionAlgorithm.HEURISTIC
    max_inject_tokens: int = 2048
    recency_decay_days: float = 30.0
    dedup_threshold: float = 0.90
    block_patterns: tuple[re.Pattern[str], ...] = ()

    @property
    def drops_nothing(self) -> bool:
        """Whether a memory is dropped for nothing but what the request shows already."""
        return self.algorithm is ReflectionAlgorithm.NOOP and not self.block_patterns


@dataclass(frozen=True, slots=True)
class InjectPolicy:
    """How memories are put into the messages.

    Attributes:
        role: ``system``, ``developer`` or ``user``: the role of the message that carries them.
    """

    role: str = "system"


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """What is remembered of a turn.

    Attributes:
        roles: Roles whose messages are stored.
        max_content_bytes: UTF-8 bytes of one memory; a longer message becomes several.
        max_parts: Most memories one message may become; a longer message is skipped.
        importance: Of a stored message, in [0, 1].
        history: Whether earlier messages of a request are stored too, where they are not yet.
    """

    roles: frozenset[str] = frozenset({"user", "assistant"})
    max_content_bytes: int = 16_384
    max_parts: int = 16
    importance: float = 0.5
    history: bool = False


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """All that one decision asks of memory.

    Attributes:
        decision: Its name; ``None`` for the globals alone.
        enabled, auto_store: Whether it reads, whether it writes.
        enabled_by, auto_store_by: ``decision_config`` or ``global_config``, whichever decided.
    """

    decision: str | None = None
    enabled: bool = False
    enabled_by: str = "global_config"
    auto_store: bool = False
    auto_store_by: str = "global_config"
    recall: RecallPolicy = field(default_factory=RecallPolicy)
    reflection: ReflectionPolicy = field(default_factory=ReflectionPolicy)
    inject: InjectPolicy = field(default_factory=InjectPolicy)
