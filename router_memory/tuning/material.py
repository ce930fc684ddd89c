"""Makes the questions of a file askable: conversations in a store of their own, traffic on the configured one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from router_memory.demo import Conversation, Question, read_conversations
from router_memory.demo.configuration import isolated
from router_memory.errors import InvalidRequest
from router_memory.memory import MemoryPlugin
from router_memory.pipeline.cleaning import is_greeting
from router_memory.pipeline.transfer import every_memory
from router_memory.tuning.cases import Case, Kind, sampled
from router_memory.tuning.configured import without_cache
from router_memory.tuning.traffic import Asked, Traffic, read_traffic
from router_memory.types import MemoryRecord, Scope, Turn
from router_memory.wiring import Assembly, assemble

if TYPE_CHECKING:
    from router_memory.config import Config
    from router_memory.tuning.run import Options, Watch

__all__ = ["Material", "from_conversations", "from_traffic"]

_AFTERWARDS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is to ask.

    Attributes:
        form: What the file holds, in words.
        assembly: The open store and its recall.
        cases: The questions.
        key: What `Case.relevant` knows memories by.
        now: The time the questions are asked at.
        memories: How many the users have whose memory is asked.
        notes: What one should know of the data.
    """

    form: str
    assembly: Assembly
    cases: tuple[Case, ...]
    key: Callable[[MemoryRecord], Hashable]
    now: datetime
    memories: int
    notes: tuple[str, ...]


@asynccontextmanager
async def from_conversations(
    data: Path, file: Path, config: Config, options: Options, watch: Watch
) -> AsyncIterator[Material]:
    """Loads conversations, each as one user's memory, into a temporary store that is deleted at the end.

    Every question that is judged is also asked of the next conversation's memory, where nothing answers it.
    """
    del config
    if options.ask_others:
        raise InvalidRequest(
            "--ask-others is for traffic: conversations are asked of each other's memory without it",
            field="ask_others",
        )
    conversations = read_conversations(data)
    asked = [
        (index, case)
        for index, conversation in enumerate(conversations)
        for question in conversation.questions
        if (case := _case(conversation, question)) is not None
    ]
    if not asked:
        raise InvalidRequest(
            f"{data}: no question says what answers it", field="data", hint="give 'questions' with 'evidence'"
        )
    chosen = sampled(asked, options.sample, options.seed)
    others = [
        (following, replace(case, scope=Scope(conversations[following].user), kind=Kind.OTHERS, relevant=frozenset()))
        for index, case in chosen
        if len(conversations) > 1 and case.kind is Kind.ANSWERABLE
        for following in [(index + 1) % len(conversations)]
    ]
    needed = sorted({index for index, _ in (*chosen, *others)})
    notes = [] if len(conversations) > 1 else ["one conversation: no question is asked of another user's memory"]
    unjudged = sum(len(one.questions) for one in conversations) - len(asked)
    if unjudged:
        notes.append(f"{unjudged:,} questions are left out: they name no evidence, or only greet")
    with tempfile.TemporaryDirectory(prefix="router-memory-tune-", ignore_cleanup_errors=True) as folder:
        assembly = assemble(isolated(file, Path(folder) / "memory.db"))
        watch("loading the model", 0, 0)
        async with MemoryPlugin(assembly) as memory:
            await _load(memory, [conversations[index] for index in needed], watch)
            stored = [
                _place(record)
                for index in needed
                async for record in every_memory(assembly.store, Scope(conversations[index].user))
            ]
            if not stored:
                raise InvalidRequest(f"{data}: none of the messages is stored: their role, or small talk", field="data")
            missing = len(frozenset[Hashable]().union(*(case.relevant for _, case in chosen)).difference(stored))
            if missing:
                notes.append(f"{missing:,} messages that hold evidence are not stored: their role, or small talk")
            yield Material(
                form="conversations",
                assembly=assembly,
                cases=tuple(case for _, case in (*chosen, *others)),
                key=_place,
                now=max(said.created_at for one in conversations for said in one.messages) + _AFTERWARDS,
                memories=len(stored),
                notes=tuple(notes),
            )


@asynccontextmanager
async def from_traffic(
    data: Path, file: Path, config: Config, options: Options, watch: Watch
) -> AsyncIterator[Material]:
    """Traffic to be asked of the configured store, which is only read, without its cache.

    Where `Options.ask_others` allows it, each query is also asked of the memory of the next user in the file, within
    its project where it has one.
    """
    del file
    traffic = read_traffic(data)
    asked = [one for one in traffic.asked if not is_greeting(one.query)]
    if not asked:
        raise InvalidRequest(f"{data}: every query only greets, and none is searched for", field="data")
    chosen = sampled(asked, options.sample, options.seed)
    others = _asked_of_others(data, chosen) if options.ask_others else []
    cases = [*(_traffic_case(one) for one in chosen), *others]
    notes = _traffic_notes(traffic, len(traffic.asked) - len(asked))
    if options.ask_others and (alone := len(_answerable(chosen)) - len(others)):
        notes.append(f"{alone:,} queries are not asked of another user's memory: nobody else asks in their project")
    watch("loading the model", 0, 0)
    assembly = assemble(without_cache(config))
    async with MemoryPlugin(assembly):
        users = dict.fromkeys(case.scope.user_id for case in cases)
        sizes = [await assembly.store.count(Scope(user)) for user in users]
        notes += await _check_stored(assembly, data, cases)
        await _check_relevant(assembly, traffic, chosen)
        yield Material(
            form="labelled traffic" if traffic.labelled else "traffic",
            assembly=assembly,
            cases=tuple(cases),
            key=_id,
            now=datetime.now(UTC),
            memories=sum(sizes),
            notes=tuple(notes),
        )


def _case(conversation: Conversation, question: Question) -> Case | None:
    """The question with the places of its evidence; ``None`` where nobody says what answers it."""
    if is_greeting(question.text):
        return None
    scope = Scope(conversation.user)
    if question.answerable is False:
        return Case(scope, question.text, Kind.UNANSWERABLE)
    places: frozenset[Hashable] = frozenset(
        (conversation.user, conversation.conversation_id(said.session), said.position)
        for said in conversation.messages
        if said.id in question.wanted
    )
    return Case(scope, question.text, Kind.ANSWERABLE, places) if places else None


async def _load(memory: MemoryPlugin, conversations: Sequence[Conversation], watch: Watch) -> None:
    sessions = [(one, id, turns) for one in conversations for id, turns in _sessions(one).items()]  # noqa: A001
    for done, (conversation, conversation_id, turns) in enumerate(sessions):
        watch("storing", done, len(sessions))
        await memory.remember(Scope(conversation.user), conversation_id, turns)


def _sessions(conversation: Conversation) -> dict[str, list[Turn]]:
    """The turns of each session, by conversation id."""
    sessions: dict[str, list[Turn]] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for said in conversation.messages:
        same = (said.session, said.role, said.text)
        name = said.message.get("name")
        turn = Turn(
            role=said.role,
            content=said.text,
            speaker=name if isinstance(name, str) else None,
            position=said.position,
            occurrence=seen[same],
            created_at=said.created_at,
        )
        sessions.setdefault(conversation.conversation_id(said.session), []).append(turn)
        seen[same] += 1
    return sessions


def _traffic_case(one: Asked) -> Case:
    if one.relevant is None:
        return Case(one.scope, one.query, Kind.UNLABELLED)
    kind = Kind.ANSWERABLE if one.relevant else Kind.UNANSWERABLE
    return Case(one.scope, one.query, kind, frozenset[Hashable](one.relevant))


def _answerable(chosen: Sequence[Asked]) -> list[Asked]:
    """Those that their own user's memory may answer."""
    return [one for one in chosen if one.relevant is None or one.relevant]


def _asked_of_others(data: Path, chosen: Sequence[Asked]) -> list[Case]:
    """Each asked of the next user's memory, of the project it came from: what is searched is of the same kind.

    Those in whose project nobody else asks are left out: an empty project would make the decision look silent.
    """
    users: dict[str | None, dict[str, None]] = {}
    for one in chosen:
        users.setdefault(one.scope.project, {})[one.scope.user_id] = None
    following = {
        Scope(user, project): Scope(other, project)
        for project, names in users.items()
        if len(names) > 1
        for user, other in zip(names, [*list(names)[1:], *list(names)[:1]], strict=True)
    }
    if not following:
        raise InvalidRequest(
            f"{data}: --ask-others needs the traffic of two users or more, in one project where it names projects",
            field="ask_others",
        )
    return [Case(following[one.scope], one.query, Kind.OTHERS) for one in _answerable(chosen) if one.scope in following]


async def _check_stored(assembly: Assembly, data: Path, cases: Sequence[Case]) -> list[str]:
    """Notes where some of the memory that is asked is empty.

    Raises:
        InvalidRequest: All of it is.
    """
    asked = dict.fromkeys(case.scope for case in cases)
    empty = [scope for scope in asked if not await assembly.store.count(scope)]
    if len(empty) == len(asked):
        held = await assembly.store.stats()
        raise InvalidRequest(
            f"{data}: none of its users has any memories in the store, {held.backend} at {held.location}",
            field="data",
            hint="check where the configuration has its store, and the user ids and projects of the data",
        )
    users = sum(scope.project is None for scope in empty)
    notes = [f"{users:,} of the users have no memories"] if users else []
    if len(empty) > users:
        notes.append(f"{len(empty) - users:,} times a user has no memories of the project that is asked")
    return notes


async def _check_relevant(assembly: Assembly, traffic: Traffic, chosen: Sequence[Asked]) -> None:
    for one in chosen:
        wanted = sorted(one.relevant or ())
        known = await assembly.store.contains(one.scope, wanted) if wanted else frozenset()
        missing = next((id for id in wanted if id not in known), None)  # noqa: A001 - the field's own name
        if missing is not None:
            raise traffic.problem(
                one.line, f"this user has no memory {missing!r}", hint="take it out of 'relevant' if it was forgotten"
            )


def _traffic_notes(traffic: Traffic, greetings: int) -> list[str]:
    notes = []
    if traffic.ignored:
        notes.append(f"fields that mean nothing here: {', '.join(traffic.ignored)}")
    if greetings:
        notes.append(f"{greetings:,} queries only greet and are not searched for, as in a request")
    return notes


def _place(record: MemoryRecord) -> Hashable:
    return record.scope.user_id, record.conversation_id or "", record.position


def _id(record: MemoryRecord) -> Hashable:
    return record.id
