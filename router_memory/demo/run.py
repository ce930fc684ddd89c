"""One demonstration from files to report."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from router_memory.config import Config, load_config
from router_memory.demo.configuration import default_config_file, isolated, writing_decision
from router_memory.demo.conversation import Conversation, Question, read_conversations
from router_memory.demo.replay import Ledger, replay
from router_memory.demo.report import LATE, Answer, DemoReport, QuestionReport, Replayed, Summary
from router_memory.errors import InvalidRequest
from router_memory.memory import MemoryPlugin
from router_memory.pipeline.cleaning import is_greeting
from router_memory.types import Outcome, Status

__all__ = ["DEFAULT_CONVERSATION", "DEFAULT_QUESTIONS", "Watch", "choose", "run_demo"]

DEFAULT_CONVERSATION = Path(__file__).with_name("conversation.jsonl")
DEFAULT_QUESTIONS = 3
"""Questions asked for each user."""

Watch = Callable[[str, int, int], None]
"""Told what is being done, how many steps of it are done, and of how many (0 when unknown)."""

_INSTRUCTIONS = {"role": "system", "content": "You are a helpful assistant."}
_AFTERWARDS = timedelta(days=1)
_CHANGES = ("preference_change", "knowledge_update")
_STRANGER = "somebody-else"
_PAUSE_SECONDS = 0.5
"""Before the next question where one was late: what was given up still keeps the model busy."""


async def run_demo(
    *,
    conversation: Path | None = None,
    config: Path | None = None,
    questions: int = DEFAULT_QUESTIONS,
    watch: Watch = lambda stage, done, total: None,
) -> DemoReport:
    """Replays the conversations of a file into a temporary store, asks its questions, and reports.

    Args:
        conversation: See `read_conversations`; ``None`` takes the one that comes with the package.
        config: ``None`` takes the default configuration. Its store and cache are not touched.
        questions: For each user, ≥ 1.
        watch: Told how far it is.

    Raises:
        InvalidRequest: The conversation file is malformed, or `questions` is less than 1.
        ConfigError: The configuration is wrong or stores nothing.
        EmbeddingError, BackendError: Model or store failed to open.
    """
    if questions < 1:
        raise InvalidRequest(f"questions must be at least 1, not {questions}", field="questions")
    source = conversation or DEFAULT_CONVERSATION
    file = config or default_config_file()
    conversations = read_conversations(source)
    with tempfile.TemporaryDirectory(prefix="router-memory-demo-", ignore_cleanup_errors=True) as folder:
        document = isolated(file, Path(folder) / "memory.db")
        settings = load_config(document)
        decision = writing_decision(settings, file)
        watch("loading the model", 0, 0)
        async with MemoryPlugin.open(document) as memory:
            ledger = Ledger()
            began = time.perf_counter()
            replayed = await replay(
                memory, conversations, decision, ledger, lambda done, total: watch("replaying", done, total)
            )
            replay_seconds = time.perf_counter() - began
            asking = _Asking(memory, settings, decision, conversations, ledger)
            reports = await asking.ask_all(questions, watch)
            stats = await memory.stats()
    return DemoReport(
        conversation=str(source),
        config=str(file),
        model=stats.fingerprint,
        deadline_ms=settings.memory.deadline_ms,
        replay_decision=decision,
        policies={_name(name): settings.policy(name) for name in asking.decisions},
        replayed=replayed,
        questions=reports,
        stages=_stages([answer for report in reports for answer in report.answers if answer.cut]),
        replay_seconds=replay_seconds,
        warnings=settings.warnings,
        summary=_summary(replayed, reports, decision, settings),
    )


def choose(conversation: Conversation, count: int) -> list[Question]:
    """The questions to ask: a changed preference, one that has no answer, then the file's order.

    A conversation without questions is asked its own last user messages.
    """
    known = conversation.questions or tuple(_echoes(conversation))
    first = [
        next((q for q in known if q.category in _CHANGES), None),
        next((q for q in known if q.answerable is False), None),
    ]
    chosen = [question for question in first if question is not None]
    chosen += [question for question in known if question not in chosen and question.answerable is not False]
    chosen += [question for question in known if question not in chosen]
    picked = chosen[:count]
    return [question for question in known if question in picked]


def _echoes(conversation: Conversation) -> list[Question]:
    texts = [said.text for said in conversation.messages if said.role == "user" and said.text]
    spoken = list(dict.fromkeys(text for text in texts if not is_greeting(text))) or texts[-1:]
    return [Question(text) for text in reversed(spoken)]


class _Asking:
    """Asks questions and judges what comes back."""

    def __init__(
        self,
        memory: MemoryPlugin,
        settings: Config,
        decision: str | None,
        conversations: Sequence[Conversation],
        ledger: Ledger,
    ) -> None:
        self._memory = memory
        self._decision = decision
        self._conversations = conversations
        self._ledger = ledger
        self._now = max(said.created_at for one in conversations for said in one.messages) + _AFTERWARDS
        self.decisions: tuple[str | None, ...] = settings.decisions or (None,)
        if decision not in self.decisions:
            self.decisions = (decision, *self.decisions)

    async def ask_all(self, count: int, watch: Watch) -> tuple[QuestionReport, ...]:
        """Asks `count` questions of each conversation under every decision, and once as another user."""
        asked = [(one, question) for one in self._conversations for question in choose(one, count)]
        reports = []
        for done, (conversation, question) in enumerate(asked):
            watch("asking", done, len(asked))
            answers = [await self._ask(conversation.user, name, conversation, question) for name in self.decisions]
            other = await self._ask(self._other(conversation), self._decision, conversation, question)
            reports.append(
                QuestionReport(user=conversation.user, question=question, answers=tuple(answers), other=other)
            )
        watch("asking", len(asked), len(asked))
        return tuple(reports)

    def _other(self, conversation: Conversation) -> str:
        users = [one.user for one in self._conversations]
        if len(users) == 1:
            return _STRANGER if conversation.user != _STRANGER else f"{_STRANGER}-2"
        return users[(users.index(conversation.user) + 1) % len(users)]

    async def _ask(self, user: str, decision: str | None, source: Conversation, question: Question) -> Answer:
        before = (_INSTRUCTIONS, {"role": "user", "content": question.text})
        outcome = await self._memory.on_request(
            decision=decision,
            messages=before,
            user_id=user,
            conversation_id=f"{user}/demo-question",
            now=self._now,
        )
        if outcome.reason in LATE:
            await asyncio.sleep(_PAUSE_SECONDS)
        found = outcome.explain.recollection
        ids = [hit.record.id for hit in outcome.memories]
        if found is not None:
            ids += [hit.record.id for hit in (*found.hits, *found.below, *(one.hit for one in found.dropped))]
        seen = frozenset(ids)
        return Answer(
            decision=decision,
            asked_by=user,
            status=outcome.status,
            reason=outcome.reason,
            error=outcome.explain.error,
            injected=outcome.memories,
            evidence=_evidence(outcome, source, question),
            cut=found.cut if found else None,
            below=found.below if found else (),
            dropped=found.dropped if found else (),
            candidates=found.candidates if found else 0,
            foreign=sum(1 for one in seen if self._ledger.owners.get(one) != user),
            looked_at=len(seen),
            injected_tokens=outcome.explain.injected_tokens,
            before=before,
            after=tuple(outcome.messages),
            seconds=outcome.explain.seconds,
        )


def _evidence(outcome: Outcome, source: Conversation, question: Question) -> dict[str, str]:
    places = {
        (source.conversation_id(said.session), said.position): said.id
        for said in source.messages
        if said.id in question.wanted
    }
    found = {}
    for hit in outcome.memories:
        place = places.get((hit.record.conversation_id or "", hit.record.position))
        if place is not None:
            found[hit.record.id] = place
    return found


def _stages(answers: Sequence[Answer]) -> Mapping[str, float]:
    """Median milliseconds of each stage, in the order the stages ran."""
    times: dict[str, list[float]] = {}
    for answer in answers:
        for stage, seconds in answer.seconds.items():
            times.setdefault(stage, []).append(seconds * 1000)
    total = times.pop("total", [])
    medians = {stage: statistics.median(values) for stage, values in times.items()}
    return {**medians, "total": statistics.median(total)} if total else medians


def _summary(
    replayed: Sequence[Replayed], reports: Sequence[QuestionReport], decision: str | None, settings: Config
) -> Summary:
    everything = [answer for report in reports for answer in (*report.answers, report.other)]
    main = [(one.question, answer) for one in reports for answer in one.answers if answer.decision == decision]
    judged = [(question, answer) for question, answer in main if answer.cut]
    silent = [answer.status is not Status.USED for question, answer in judged if question.answerable is False]
    searched = [answer.seconds["total"] * 1000 for _, answer in judged]
    return Summary(
        memories=sum(one.memories for one in replayed),
        questions=len(reports),
        judged=len(judged),
        evidence_found=sum(len(set(answer.evidence.values())) for _, answer in judged),
        evidence=sum(len(question.wanted) for question, _ in judged),
        k=settings.policy(decision).recall.limit,
        silent=sum(silent),
        unanswerable=len(silent),
        leaks=sum(answer.foreign for answer in everything),
        looked_at=sum(answer.looked_at for answer in everything),
        late=sum(one.late for one in replayed) + sum(answer.late for answer in everything),
        requests=sum(sum(one.requests.values()) for one in replayed) + len(everything),
        median_latency_ms=statistics.median(searched) if searched else None,
    )


def _name(decision: str | None) -> str:
    return decision or "(globals)"
