"""Generated conversations with questions whose evidence is known, for runs without a data set."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.peers.topics import FILLERS, HEARSAY, NAMES, OPENERS, TOPICS, Detail, Topic
from bench.quality.data import Conversation, Question
from router_memory.types import Turn

__all__ = ["generated"]

CONVERSATIONS = 40
SESSIONS = 10
TURNS = 20
"""Messages in a session; the two speakers take turns."""

SESSION_TOPICS = 2
FACT_SHARE = 0.35
FILLER_SHARE = 0.15
HEARSAY_SHARE = 0.2
"""Of messages that state a fact, that are about nothing, and that read like a fact of somebody else; the others are
about the topic and answer nothing."""

OPENER_SHARE = 0.6
"""Of messages that begin with a sentence about something else."""

PARAPHRASED = 0.5
"""Of the questions that name the detail in other words than the fact does."""

_START = datetime(2025, 3, 1, 9, tzinfo=UTC)
_BETWEEN_SESSIONS = timedelta(days=2, hours=5)


def generated(seed: int) -> list[Conversation]:
    """`CONVERSATIONS` of them; the seed decides everything."""
    return [_Writer(random.Random(f"{seed}/{number}"), number).conversation() for number in range(CONVERSATIONS)]


@dataclass(frozen=True, slots=True)
class _Fact:
    topic: Topic
    detail: Detail


class _Writer:
    """Writes one conversation."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self._rng = rng
        self._id = f"generated-{number}"
        self._speakers = rng.sample(NAMES, 2)
        self._untold = {name: self._shuffled() for name in self._speakers}
        self._questions: list[Question] = []

    def conversation(self) -> Conversation:
        sessions = {f"{self._id}/s{number}": list(self._session(number)) for number in range(SESSIONS)}
        ids: dict[tuple[str, int], tuple[str, ...]] = {
            (session, turn.position): (_message(session, turn.position),)
            for session, turns in sessions.items()
            for turn in turns
        }
        return Conversation(self._id, "generated", sessions, ids, self._questions)

    def _shuffled(self) -> list[_Fact]:
        facts = [_Fact(topic, detail) for topic in TOPICS for detail in topic.details]
        self._rng.shuffle(facts)
        return facts

    def _session(self, number: int) -> Iterator[Turn]:
        session, began = f"{self._id}/s{number}", _START + number * _BETWEEN_SESSIONS
        topics = self._rng.sample(TOPICS, SESSION_TOPICS)
        for position in range(TURNS):
            speaker, other = self._speakers[position % 2], self._speakers[(position + 1) % 2]
            yield Turn(
                role="user",
                content=self._text(speaker, other, topics, _message(session, position)),
                speaker=speaker,
                position=position,
                created_at=began + timedelta(minutes=position),
            )

    def _text(self, speaker: str, other: str, topics: list[Topic], message: str) -> str:
        said = self._said(speaker, other, topics, message)
        said = said[0].upper() + said[1:]
        if self._rng.random() < OPENER_SHARE:
            return f"{self._rng.choice(OPENERS).format(n=other)} {said}"
        return said

    def _said(self, speaker: str, other: str, topics: list[Topic], message: str) -> str:
        drawn = self._rng.random()
        fact = self._take(speaker, topics) if drawn < FACT_SHARE else None
        if fact is not None:
            self._ask(fact, speaker, message)
            return self._stated(fact)
        if drawn > 1 - FILLER_SHARE:
            return self._rng.choice(FILLERS).format(n=other)
        topic = self._rng.choice(topics)
        detail = self._rng.choice(topic.details)
        if drawn > 1 - FILLER_SHARE - HEARSAY_SHARE:
            return self._rng.choice(HEARSAY).format(f=self._stated(_Fact(topic, detail)))
        return self._rng.choice(topic.talk).format(n=other, d=detail.told)

    def _take(self, speaker: str, topics: list[Topic]) -> _Fact | None:
        """A fact on one of the topics that the speaker has not told yet."""
        untold = self._untold[speaker]
        for place, fact in enumerate(untold):
            if fact.topic in topics:
                return untold.pop(place)
        return None

    def _ask(self, fact: _Fact, speaker: str, message: str) -> None:
        """Notes a question that this message answers."""
        asked = fact.detail.asked if self._rng.random() < PARAPHRASED else fact.detail.told.removeprefix("my ")
        question = self._rng.choice(fact.topic.questions).format(n=speaker, d=asked)
        self._questions.append(Question(question, frozenset([message]), "generated", answerable=True))

    def _stated(self, fact: _Fact) -> str:
        topic = fact.topic
        text = self._rng.choice(topic.facts).format(d=fact.detail.told, v=self._rng.choice(topic.values))
        return text[0].upper() + text[1:]


def _message(session: str, position: int) -> str:
    return f"{session}:{position}"
