"""Generated conversations: word frequencies, lengths, sessions and speakers as in chats, from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

from router_memory.backends.bert.locating import locate
from router_memory.types import Turn

__all__ = ["Asked", "Corpus", "Session", "make_corpus", "vocabulary"]

WORDS = 3_000
"""Different words in the conversations."""

ZIPF_EXPONENT = 1.0
"""A word's frequency falls with this power of its rank (Zipf 1949); 1 for English."""

SHORTEST, LONGEST = 8, 25
"""Words in a message."""

TURNS = 20
"""Messages in a session."""

USER_TOPIC_WORDS = 200
TOPIC_WORDS = 30
TOPIC_SHARE = 0.25
"""Words a user talks about, how many of them one session is about, and their share of its words."""

TOPICAL_RANK = 200
"""Words of a lower rank, `the` and `said`, are no topic and nothing a question asks for."""

SPEAKERS = ("Maren", "Oskar", "Lina")
USER = "Priya"
START = datetime(2025, 3, 1, 9, tzinfo=UTC)
BETWEEN_SESSIONS = timedelta(days=2, hours=5)

_FRAMES = (
    "What did {name} say about the {a} and the {b}?",
    "When did {name} go to the {a} and the {b}?",
    "Do you remember the {a} with the {b} and the {c}?",
    "Which {a} was it that we first found in the {b} of the {c}?",
)


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation of the user; its messages share a topic."""

    id: str
    topic: int
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a message of the session with this topic."""

    text: str
    topic: int


@dataclass(frozen=True, slots=True)
class Corpus:
    """One user's conversations and questions about them."""

    sessions: tuple[Session, ...]
    questions: tuple[Asked, ...]


def vocabulary() -> list[str]:
    """English words, the most frequent ones first: those that the embedding model's vocabulary holds whole.

    That file is in about this order, and what it holds whole costs the model one token, as most words of a
    real text do.
    """
    lines = Path(locate("bert"), "vocab.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.isascii() and line.isalpha() and len(line) > 1][:WORDS]


def make_corpus(memories: int, *, questions: int, seed: int) -> Corpus:
    """Conversations of `memories` messages in all."""
    writer = _Writer(random.Random(seed))
    sizes = [min(TURNS, memories - first) for first in range(0, memories, TURNS)]
    sessions = tuple(writer.session(index, size) for index, size in enumerate(sizes))
    return Corpus(sessions, tuple(writer.question(sessions, index) for index in range(questions)))


class _Writer:
    """Draws words."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._words = vocabulary()
        self._weights = list(accumulate(1.0 / rank**ZIPF_EXPONENT for rank in range(1, len(self._words) + 1)))
        self._pool = self._rng.sample(self._words[TOPICAL_RANK:], USER_TOPIC_WORDS)
        self._topical = frozenset(self._words[TOPICAL_RANK:])

    def session(self, index: int, size: int) -> Session:
        topic = self._rng.sample(self._pool, TOPIC_WORDS)
        began = START + index * BETWEEN_SESSIONS
        partner = SPEAKERS[index % len(SPEAKERS)]
        turns = tuple(
            Turn(
                role="assistant" if position % 2 else "user",
                content=self._message(topic),
                speaker=partner if position % 2 else USER,
                position=position,
                created_at=began + timedelta(minutes=position),
            )
            for position in range(size)
        )
        return Session(f"session-{index}", index, turns)

    def question(self, sessions: Sequence[Session], index: int) -> Asked:
        session = self._rng.choice(sessions)
        turn = self._rng.choice(session.turns)
        said = [word for word in turn.content.lower().rstrip(".").split() if word in self._topical]
        different = list(dict.fromkeys(said))
        if len(different) < len("abc"):
            different += self._rng.sample([word for word in self._pool if word not in said], len("abc"))
        a, b, c = self._rng.sample(different, len("abc"))
        return Asked(_FRAMES[index % len(_FRAMES)].format(name=turn.speaker, a=a, b=b, c=c), session.topic)

    def _message(self, topic: Sequence[str]) -> str:
        length = self._rng.randint(SHORTEST, LONGEST)
        common = self._rng.choices(self._words, cum_weights=self._weights, k=length)
        drawn = [self._rng.choice(topic) if self._rng.random() < TOPIC_SHARE else word for word in common]
        return " ".join(drawn).capitalize() + "."
