"""What a demonstration found out: plain data, for a renderer or for JSON through `describe`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router_memory.demo.conversation import Question
from router_memory.types import Cut, DecisionPolicy, Dropped, Hit, Message, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LATE", "Answer", "DemoReport", "QuestionReport", "Replayed", "Summary"]

LATE = frozenset({Reason.TIMEOUT, Reason.OVERLOADED})
"""Reasons of requests that went on without memory for the deadline's sake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What the replay of one user's conversation did.

    Attributes:
        sessions, messages: In the file.
        requests: Outcomes of `on_request` as ``<status>/<reason>``.
        writes: Fates of the turns as ``<status>`` or ``<status>/<reason>``.
        memories: How many the user has now.
    """

    user: str
    sessions: int
    messages: int
    requests: Mapping[str, int]
    writes: Mapping[str, int]
    memories: int

    @property
    def late(self) -> int:
        """Requests that went on without memory for the deadline's sake."""
        return sum(count for outcome, count in self.requests.items() if outcome.partition("/")[2] in LATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one request got.

    Attributes:
        asked_by: The user the request was made for.
        injected: What was put into the messages, best first.
        evidence: Ids of the evidence messages among them, as the file names them, by record id.
        cut: The cut-off; ``None`` when nothing was searched.
        below: The best that did not reach the threshold.
        dropped: What limit and filters took out.
        foreign: Records of another user in any of these lists, counted by who wrote them in the replay.
        looked_at: Records in these lists.
        before, after: The messages as they came and as they go on.
        seconds: Wall time by stage.
    """

    decision: str | None
    asked_by: str
    status: Status
    reason: Reason
    error: str
    injected: tuple[Hit, ...]
    evidence: Mapping[str, str]
    cut: Cut | None
    below: tuple[Hit, ...]
    dropped: tuple[Dropped, ...]
    candidates: int
    foreign: int
    looked_at: int
    injected_tokens: int
    before: tuple[Message, ...]
    after: tuple[Message, ...]
    seconds: Mapping[str, float]

    @property
    def late(self) -> bool:
        """Whether it got no memories for the deadline's sake."""
        return self.reason in LATE


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionReport:
    """One question under every decision, and asked by somebody else.

    Attributes:
        user: Whose question it is.
        answers: One for each decision, in the configuration's order.
        other: The same question from another user, under the decision the replay used.
    """

    user: str
    question: Question
    answers: tuple[Answer, ...]
    other: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The demonstration in a few numbers.

    Attributes:
        memories: Stored, over all users.
        judged: Questions that were searched for under the replay's decision; the next five are about them.
        evidence_found, evidence: Messages that hold an answer, injected, and those there are.
        k: Most memories that decision injects.
        silent, unanswerable: Questions without an answer that got nothing, and those there are.
        leaks: Records of another user seen in any answer.
        late: Requests that went on without memory for the deadline's sake, the replay's among them.
        median_latency_ms: What memory added to a question's request that searched; ``None`` when none did.
    """

    memories: int
    questions: int
    judged: int
    evidence_found: int
    evidence: int
    k: int
    silent: int
    unanswerable: int
    leaks: int
    looked_at: int
    late: int
    requests: int
    median_latency_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """Everything a demonstration shows.

    Attributes:
        conversation, config: The files.
        model: Fingerprint of the embedding model.
        deadline_ms: Most that memory may add to a request.
        replay_decision: The decision of the replay; ``None`` for the globals.
        policies: Of each decision asked, by name.
        stages: Median milliseconds by stage over the questions' requests that searched.
        replay_seconds: Wall time of the replay, model loading left out.
    """

    conversation: str
    config: str
    model: str
    deadline_ms: float
    replay_decision: str | None
    policies: Mapping[str, DecisionPolicy]
    replayed: tuple[Replayed, ...]
    questions: tuple[QuestionReport, ...]
    stages: Mapping[str, float]
    replay_seconds: float
    warnings: tuple[str, ...]
    summary: Summary
