"""Replays conversations: every user message is a request, every reply is remembered."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router_memory.demo.conversation import Conversation, Said
from router_memory.demo.report import Replayed
from router_memory.memory import MemoryPlugin
from router_memory.types import Message, Scope, WriteResult, WriteStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Ledger", "replay", "steps"]

_KEPT = frozenset({WriteStatus.STORED, WriteStatus.MERGED})


@dataclass(frozen=True, slots=True)
class Step:
    """One request of the replay.

    Attributes:
        said: The user's message.
        history: The session's messages up to and with it.
        reply: What the assistant said to it; ``None`` when the next message is the user's again.
    """

    conversation: Conversation
    said: Said
    history: tuple[Message, ...]
    reply: Message | None


@dataclass(slots=True)
class Ledger:
    """Who wrote which memory, kept by the replay itself, so that isolation is judged without asking the store."""

    owners: dict[str, str] = field(default_factory=dict)
    requests: dict[str, Counter[str]] = field(default_factory=dict)
    writes: dict[str, Counter[str]] = field(default_factory=dict)

    def note_request(self, user: str, outcome: str) -> None:
        """Counts the outcome of a request."""
        self.requests.setdefault(user, Counter())[outcome] += 1

    def note_writes(self, user: str, results: Sequence[WriteResult]) -> None:
        """Notes what became of a turn; what merely was there already is not counted again."""
        counts = self.writes.setdefault(user, Counter())
        for result in results:
            if result.status in _KEPT:
                self.owners[result.id] = user
            if result.status is not WriteStatus.MERGED:
                counts["/".join(filter(None, (result.status, result.reason)))] += 1


async def replay(
    memory: MemoryPlugin,
    conversations: Sequence[Conversation],
    decision: str | None,
    ledger: Ledger,
    watch: Callable[[int, int], None],
) -> tuple[Replayed, ...]:
    """Sends every message in the order of time, each turn stored before the next is said, as people type.

    `watch` is told the number of requests done and in all.
    """
    todo = list(steps(conversations))
    for done, step in enumerate(todo):
        watch(done, len(todo))
        user = step.conversation.user
        outcome = await memory.on_request(
            decision=decision,
            messages=step.history,
            user_id=user,
            conversation_id=step.conversation.conversation_id(step.said.session),
            now=step.said.created_at,
        )
        ledger.note_request(user, f"{outcome.status}/{outcome.reason}")
        receipt = await memory.on_response(outcome, step.reply)
        ledger.note_writes(user, await receipt.wait())
    await memory.drain()
    watch(len(todo), len(todo))
    return tuple([await _replayed(memory, conversation, ledger) for conversation in conversations])


def steps(conversations: Sequence[Conversation]) -> Iterator[Step]:
    """The requests of all conversations, interleaved by time; each conversation keeps its own order."""
    return heapq.merge(*map(_steps, conversations), key=lambda step: step.said.created_at)


def _steps(conversation: Conversation) -> Iterator[Step]:
    sessions: dict[str, list[Said]] = {}
    for said in conversation.messages:
        sessions.setdefault(said.session, []).append(said)
    for session in sessions.values():
        messages = tuple(said.message for said in session)
        for index, said in enumerate(session):
            if said.role == "user":
                yield Step(conversation, said, messages[: index + 1], _reply(session[index + 1 :]))


def _reply(following: Sequence[Said]) -> Message | None:
    """The assistant's last message before the user speaks again: the one behind any tool calls."""
    reply = None
    for said in following:
        if said.role == "user":
            break
        if said.role == "assistant":
            reply = said.message
    return reply


async def _replayed(memory: MemoryPlugin, conversation: Conversation, ledger: Ledger) -> Replayed:
    user = conversation.user
    return Replayed(
        user=user,
        sessions=len({said.session for said in conversation.messages}),
        messages=len(conversation.messages),
        requests=dict(ledger.requests.get(user, Counter()).most_common()),
        writes=dict(ledger.writes.get(user, Counter()).most_common()),
        memories=await memory.count(Scope(user)),
    )
