"""What a caller gets back: hits, the explanation of a choice, the outcome of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from router_memory.types.cache import CacheLevel
from router_memory.types.record import MemoryRecord, Turn, WriteStatus
from router_memory.types.scope import Scope

__all__ = [
    "Cut",
    "Dropped",
    "Explain",
    "Hit",
    "Miss",
    "Outcome",
    "Reason",
    "Recollection",
    "Status",
    "WriteIntent",
    "WriteResult",
]

Message = Mapping[str, Any]
"""One chat message in the OpenAI form."""


class Status(StrEnum):
    """What memory did for a request."""

    USED = "used"
    MISSING = "missing"
    DISABLED = "disabled"
    POLICY_BLOCKED = "policy_blocked"
    IGNORED = "ignored"
    UNAVAILABLE = "unavailable"


class Reason(StrEnum):
    """Why a status is what it is."""

    INJECTED = "injected"
    NO_RESULTS = "no_results"
    """Nothing reached the threshold."""
    FILTERED = "filtered"
    """Something reached the threshold, and a filter dropped all of it."""
    EMPTY_CONTEXT = "empty_context"
    """The memories found hold no text to inject."""
    USER_ID_MISSING = "user_id_missing"
    USER_ID_INVALID = "user_id_invalid"
    """The user id is no valid id, or the user header holds two."""
    PROJECT_INVALID = "project_invalid"
    CONVERSATION_ID_INVALID = "conversation_id_invalid"
    MESSAGES_MALFORMED = "messages_malformed"
    """`messages` is not a list of mappings."""
    HEADERS_MALFORMED = "headers_malformed"
    """The headers are neither a mapping nor pairs, so an opt-out could not be read."""
    QUERY_INELIGIBLE = "query_ineligible"
    """No user message with text, or only a greeting."""
    PASSTHROUGH = "passthrough"
    """No decision was taken: the client named a concrete model."""
    DECISION_CONFIG = "decision_config"
    GLOBAL_CONFIG = "global_config"
    REQUEST_OPT_OUT = "request_opt_out"
    ROUTE_CONFIG = "route_config"
    MODEL_CONFIG = "model_config"
    STORE_UNAVAILABLE = "store_unavailable"
    RETRIEVAL_ERROR = "retrieval_error"
    INJECTION_ERROR = "injection_error"
    TIMEOUT = "timeout"
    """The deadline passed."""
    OVERLOADED = "overloaded"
    """The wait alone would have passed the deadline, so nothing was tried."""
    CLOSED = "closed"
    """The plugin was closed."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory found.

    Attributes:
        record: The memory.
        similarity: In [0, 1], the scale thresholds are on; (1 + cosine) / 2 in dense mode.
        score: What it was ordered by; comparable within one request and mode only.
        cosine: Of the query to the memory, in [-1, 1].
        lexical: BM25 on the user's own statistics, ≥ 0.
        signals: Every signal's contribution to `score`, by name.
        support: What `similarity` was made from in the hybrid modes, by name; it grows with the sum. Empty in dense.
        rank: Its place in the order of scores among all candidates, from 1; 0 where it was not ranked.
    """

    record: MemoryRecord
    similarity: float
    score: float
    cosine: float
    lexical: float
    signals: Mapping[str, float]
    support: Mapping[str, float] = field(default_factory=dict)
    rank: int = 0

    @property
    def shares(self) -> Mapping[str, float]:
        """Each signal's part of all that moved the score, in [-1, 1], by name: negative where it moved it down.

        A contribution divided by the sum of all contributions' magnitudes, so the magnitudes of the shares add up to 1;
        all 0 where nothing contributed. (Parts of the score itself would mean nothing where contributions cancel out.)
        """
        moved = sum(map(abs, self.signals.values()))
        return {name: value / moved if moved else 0.0 for name, value in self.signals.items()}


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the list was cut and why.

    Attributes:
        floor: The configured threshold.
        threshold: The one applied, ≥ floor.
        rule: Name of the rule.
        why: One sentence for a person.
    """

    floor: float
    threshold: float
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a candidate was not returned.

    Attributes:
        id: Of the memory.
        rank: Its place in the order of scores, from 1.
        by: What its similarity lacked to the threshold, in [0, 1]; 0 where it reached it.
        why: One sentence for a person.
    """

    id: str
    rank: int
    by: float
    why: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A memory that a filter took out, and why."""

    hit: Hit
    why: str


@dataclass(frozen=True, slots=True)
class Recollection:
    """The result of one search with the numbers behind it.

    Attributes:
        hits: What is left, best first.
        cut: The cut-off.
        below: Up to five best candidates that were not returned, for their similarity or their rank.
        dropped: What the filters took out although it reached the threshold.
        candidates: Number of candidates ranked.
        limit: Most that are returned.
        looked_at: How many of them, the best, the cut-off and the filters looked at.
        admitted: How many of those no filter took out.
        query_text: What was embedded, with the user's own frequent names taken out.
        names: The tokens taken out.
        clipped: Whether the query was longer than is searched for, so that only its two ends were.
        seconds: Wall time by stage.
        exact, partial: See `CandidateSet`.
        cache: Which level of the hot cache answered.
        starts: When each stage began, on the clock of `time.perf_counter`; for traces of this process only.
    """

    hits: tuple[Hit, ...]
    cut: Cut
    below: tuple[Hit, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    candidates: int = 0
    limit: int = 0
    looked_at: int = 0
    admitted: int = 0
    query_text: str = ""
    names: tuple[str, ...] = ()
    clipped: bool = False
    seconds: Mapping[str, float] = field(default_factory=dict)
    exact: bool = True
    partial: bool = False
    cache: CacheLevel = CacheLevel.OFF
    starts: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def misses(self) -> tuple[Miss, ...]:
        """What each of `below` lacked, in the same order; made when asked for, since few requests are looked at."""
        return tuple(map(self._miss, self.below))

    def _miss(self, hit: Hit) -> Miss:
        by = max(self.cut.threshold - hit.similarity, 0.0)
        reasons = [f"{by:.3f} below the threshold"] if by else []
        if hit.rank > self.looked_at:
            filtered = self.looked_at - self.admitted
            left = f" besides {filtered} filtered out" if filtered else ""
            reasons.append(f"ranked {hit.rank}, and the cut-off looks at the best {self.admitted}{left}")
        elif not by:
            reasons.append(f"reached the threshold, but better ones fill the limit of {self.limit}")
        return Miss(hit.record.id, hit.rank, by, "; ".join(reasons))


@dataclass(frozen=True, slots=True)
class Explain:
    """Why a request got what it got.

    Attributes:
        decision: Name of the decision as it came; `known` says whether the configuration has it.
        policy: The resolved policy, JSON-compatible.
        query: The user's text that was searched for.
        recollection: The search, ``None`` when none took place.
        injected_tokens: Size of the block in tokens of `token_counter`.
        token_counter: Name of the counter.
        error: Class and message of a failure that was passed over.
        seconds: Wall time by stage, ``total`` among them.
        starts: When each stage began, on the clock of `time.perf_counter`; for traces of this process only.
    """

    decision: str | None
    known: bool
    policy: Mapping[str, Any]
    query: str = ""
    recollection: Recollection | None = None
    injected_tokens: int = 0
    token_counter: str = ""
    error: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class WriteIntent:
    """What a request adds to memory once its reply is there.

    Attributes:
        refused: Why nothing is to be stored; ``None`` when it is.
        turns: The request's own new messages.
        messages: The request as it came, to place the reply in it.
        now: When the request was made.
    """

    refused: Reason | None
    turns: tuple[Turn, ...] = ()
    messages: Sequence[Message] = ()
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `on_request` gives back.

    Attributes:
        messages: The messages to send on: the caller's own, in order, with at most one added.
        memories: What was injected, best first.
        status, reason: What happened.
        explain: The numbers behind it.
        scope: Whose request it was; ``None`` when the user is unknown.
        conversation_id: As given or derived.
        intent: What `on_response` is to store.
    """

    messages: Sequence[Message]
    memories: tuple[Hit, ...]
    status: Status
    reason: Reason
    explain: Explain
    scope: Scope | None = None
    conversation_id: str | None = None
    intent: WriteIntent = WriteIntent(Reason.USER_ID_MISSING)


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one message.

    Attributes:
        status: See `WriteStatus`.
        reason: Why it was skipped, rejected or failed; empty otherwise.
        id: Of the memory; empty when none was made.
    """

    status: WriteStatus
    reason: str = ""
    id: str = ""
