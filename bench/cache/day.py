"""A day of agents, generated from a seed: who asks what when, what is asked again, stored and forgotten.

No log of real agents is at hand, so the shares below are assumptions, made where they can be seen. Users come back to a
few sessions a day, and differ in how often they come by Zipf's law. In a session the user writes, and the agent works
on it: each of its steps is a chat request that ends in the results of tools, with the same last user message. Some
requests are sent again because the model did not answer, and some are routed to several decisions at once. When the
agent has answered, the turn is stored. Now and then a user has a memory forgotten, or asks what was asked before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from bench.stages.corpus import START, Corpus, Session, make_corpus
from router_memory.types import Message

__all__ = ["BEGIN", "DENSE", "MAIN", "SIDE", "Ask", "Day", "Event", "Forget", "Reply", "make_day"]

BEGIN = START + timedelta(days=365)
SECONDS = 24 * 3600.0

MAIN = "personalized_route"
DENSE = "dense_route"
SIDE = ("strict_route", "wide_route", DENSE)
"""Decisions that a request is routed to: the first in any case, up to two of the others beside it."""

ZIPF_EXPONENT = 1.0
TURNS, MOST_TURNS = 4.0, 12
"""Turns of a session, in the mean, of a geometric distribution, and at most."""
STEPS, MOST_STEPS = 4.0, 15
"""Steps of the agent that follow on the first request of a turn, likewise."""
PARALLEL_SHARE = 0.15
"""Share of the turns whose first request goes to two or three decisions at once."""
RETRY_SHARE = 0.06
"""Share of the requests that are sent a second time."""
AGAIN_SHARE = 0.08
"""Share of the turns in which a user asks what was asked before on this day."""
FORGET_SHARE = 0.02
"""Share of the turns after which a user has a memory forgotten."""

SHORTEST_STEP, LONGEST_STEP = 1.5, 15.0
SHORTEST_PAUSE, LONGEST_PAUSE = 20.0, 600.0
"""Seconds between the steps of an agent, and between its answer and the user's next message. No turn takes five
minutes, so that the cache's time to live ends nothing that a faster replay would find."""

_QUESTIONS = 400
_SAID = 200
_SYSTEM: Message = {"role": "system", "content": "You are an agent. Use the tools, then answer briefly."}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happens.

    Attributes:
        at: Seconds since the day began.
        user: The user's number, the busiest being 0.
        session: Of the conversation, unique on this day.
        turn: Which turn of it.
    """

    at: float
    user: int
    session: int
    turn: int

    @property
    def user_id(self) -> str:
        """The user's."""
        return f"user-{self.user}"

    @property
    def conversation_id(self) -> str:
        """The session's."""
        return f"agent-{self.session}"

    @property
    def moment(self) -> datetime:
        """When it happens."""
        return BEGIN + timedelta(seconds=self.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Event):
    """A chat request, or several with the same messages at the same time.

    Attributes:
        decisions: One or more, `MAIN` first.
        messages: Of the request.
        again: Whether it was sent just before.
    """

    decisions: tuple[str, ...]
    messages: tuple[Message, ...]
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Event):
    """The agent's answer to the user, with which the turn is stored."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forget(Event):
    """The user has the newest memory forgotten."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day.

    Attributes:
        histories: What each user has said before it.
        events: In the order of time.
        requests: How many chat requests there are.
    """

    histories: tuple[tuple[Session, ...], ...]
    events: tuple[Event, ...]
    requests: int


def make_day(*, requests: int, users: int, history: int, seed: int) -> Day:
    """A day of at least `requests` requests; the last session is brought to its end.

    Args:
        requests: At least 1.
        users: How many there are. Not everyone need come on this day.
        history: Memories of each when it begins.
        seed: Of everything.
    """
    rng = random.Random(seed)
    weights = list(accumulate(1.0 / rank**ZIPF_EXPONENT for rank in range(1, users + 1)))
    people = [_Person(number, history, seed) for number in range(users)]
    events: list[Event] = []
    made = session = 0
    while made < requests:
        person = rng.choices(people, cum_weights=weights)[0]
        events += _Session(rng, person, session).events()
        session += 1
        made = sum(len(event.decisions) for event in events if isinstance(event, Ask))
    # Sorting is stable, so that what happens to one user at one time stays in its order.
    return Day(tuple(person.history for person in people), tuple(sorted(events, key=lambda event: event.at)), made)


class _Person:
    """A user: what was said before, and what is left to be said."""

    def __init__(self, number: int, history: int, seed: int) -> None:
        self.number = number
        corpus: Corpus = make_corpus(history + _SAID, questions=_QUESTIONS, seed=seed * 1_000 + number)
        self.history = _first(corpus.sessions, history)
        self._sayings = [turn.content for session in corpus.sessions for turn in session.turns][history:]
        self._questions = list(dict.fromkeys(asked.text for asked in corpus.questions))
        self._asked = 0

    def question(self, rng: random.Random) -> str:
        """A new one, or one of this day."""
        if self._asked and rng.random() < AGAIN_SHARE:
            return self._questions[rng.randrange(min(self._asked, len(self._questions)))]
        self._asked += 1
        number = self._asked - 1
        text = self._questions[number % len(self._questions)]
        return text if number < len(self._questions) else f"{text} ({number})"

    def saying(self, rng: random.Random) -> str:
        """What a tool or the agent says."""
        return rng.choice(self._sayings)


class _Session:
    """One session of a user, turn by turn."""

    def __init__(self, rng: random.Random, person: _Person, number: int) -> None:
        self._rng = rng
        self._person = person
        self._number = number
        self._at = rng.uniform(0.0, SECONDS)
        self._messages: list[Message] = []
        self._turn = 0

    def events(self) -> list[Event]:
        """All of it."""
        events: list[Event] = []
        for _ in range(min(_geometric(self._rng, TURNS), MOST_TURNS)):
            events += self._one_turn()
            self._turn += 1
            self._at += self._rng.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)
        return events

    def _one_turn(self) -> list[Event]:
        rng = self._rng
        events: list[Event] = []
        self._messages.append({"role": "user", "content": self._person.question(rng)})
        steps = min(_geometric(rng, STEPS + 1) - 1, MOST_STEPS)
        for step in range(steps + 1):
            if step:
                self._at += rng.uniform(SHORTEST_STEP, LONGEST_STEP)
                self._call(step)
            side = rng.sample(SIDE, rng.randint(1, 2)) if not step and rng.random() < PARALLEL_SHARE else ()
            events.append(self._ask((MAIN, *side)))
            if rng.random() < RETRY_SHARE:
                self._at += rng.uniform(0.5, 2.0)
                events.append(self._ask((MAIN,), again=True))
        self._at += rng.uniform(SHORTEST_STEP, LONGEST_STEP)
        text = self._person.saying(rng)
        self._messages.append({"role": "assistant", "content": text})
        events.append(Reply(at=self._at, user=self._person.number, session=self._number, turn=self._turn, text=text))
        if rng.random() < FORGET_SHARE:
            self._at += rng.uniform(SHORTEST_STEP, LONGEST_STEP)
            events.append(Forget(at=self._at, user=self._person.number, session=self._number, turn=self._turn))
        return events

    def _ask(self, decisions: tuple[str, ...], *, again: bool = False) -> Ask:
        return Ask(
            at=self._at,
            user=self._person.number,
            session=self._number,
            turn=self._turn,
            decisions=decisions,
            messages=(_SYSTEM, *self._messages),
            again=again,
        )

    def _call(self, step: int) -> None:
        """The agent calls a tool, which answers."""
        name = f"call-{self._turn}-{step}"
        function = {"name": "look_up", "arguments": "{}"}
        self._messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": name, "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": name, "content": self._person.saying(self._rng)},
        ]


def _first(sessions: Sequence[Session], count: int) -> tuple[Session, ...]:
    """The sessions with the first `count` messages."""
    kept = []
    for session in sessions:
        if count <= 0:
            break
        kept.append(Session(session.id, session.topic, session.turns[:count]))
        count -= len(session.turns)
    return tuple(kept)


def _geometric(rng: random.Random, mean: float) -> int:
    """A number from 1 up with that mean."""
    count = 1
    while rng.random() < 1.0 - 1.0 / mean:
        count += 1
    return count
