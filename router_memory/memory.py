"""`MemoryPlugin`: the library's front door."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from router_memory import arguments
from router_memory.errors import BackendUnavailable, InvalidRequest
from router_memory.pipeline.cleaning import clean
from router_memory.pipeline.remember import check_content
from router_memory.pipeline.transfer import batches, every_memory
from router_memory.plugin.plugin import unserved
from router_memory.plugin.request import Request
from router_memory.plugin.writes import Receipt
from router_memory.types import (
    CutoffRule,
    Hit,
    MemoryRecord,
    MemoryType,
    Message,
    Outcome,
    Page,
    RankingMode,
    Recollection,
    Restored,
    Scope,
    StoreStats,
    Turn,
    WriteResult,
    WriteStatus,
    check_id,
    record_id,
)
from router_memory.wiring import Assembly, assemble

__all__ = ["MemoryPlugin"]


class MemoryPlugin:
    """Memory for chat requests, and the memories themselves.

        async with MemoryPlugin.open("config/config.yaml") as memory:
            outcome = await memory.on_request(decision="personalized_route", user_id="u1", messages=messages)
            reply = await your_model(outcome.messages)
            await memory.on_response(outcome, reply)

    One event loop owns an instance. `on_request` and `on_response` raise nothing; every other method
    raises the typed errors of `router_memory.errors`.
    """

    def __init__(self, assembly: Assembly, *, warm: bool = True) -> None:
        self._parts = assembly
        self._warm = warm

    @classmethod
    def open(cls, config: str | Path | Mapping[str, Any] | None = None, *, warm: bool = True) -> MemoryPlugin:
        """An instance for this configuration, to be entered with ``async with``.

        Args:
            config: Path of a YAML file, its content as a mapping, or ``None`` for the defaults.
            warm: Whether entering loads the model; without it the first text to embed does, which
                suits listing and deleting.

        Raises:
            ConfigError: The configuration is wrong. Nothing was opened.
        """
        return cls(assemble(config), warm=warm)

    async def __aenter__(self) -> Self:
        """Opens the store and, unless told not to, loads the model.

        Raises:
            EmbeddingError, BackendError, MissingExtra: See `Embedder.open` and `MemoryStore.open`.
        """
        await self._parts.open(warm=self._warm)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Writes what is queued, for at most ``write.drain_seconds``, and releases everything. Idempotent."""
        await self._parts.close()

    # -- the plugin -------------------------------------------------------------------------------

    async def on_request(
        self,
        *,
        decision: str | None,
        messages: Sequence[Message],
        user_id: str | None = None,
        headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None,
        model: str | None = None,
        project: str | None = None,
        conversation_id: str | None = None,
        now: datetime | None = None,
    ) -> Outcome:
        """Injects the memories that matter for this request.

        Args:
            decision: The route the router chose; ``None`` for none.
            messages: OpenAI chat messages. They are never changed.
            user_id: The verified user; it wins over the configured user header, which ``None`` reads.
            headers: The request's HTTP headers, as a mapping or as pairs.
            model: The model the client named. A model without a decision is a passthrough: no memory.
            project: Narrows the user's memories to one project.
            conversation_id: Groups turns; without one it is derived from the first user message.
            now: When the request was made; naive times count as UTC, anything but a time as now.

        Returns:
            The messages to send on, with a status and a reason. Raises nothing.
        """
        request = Request(
            decision=decision,
            user_id=user_id,
            messages=messages,
            headers={} if headers is None else headers,
            model=model,
            project=project,
            conversation_id=conversation_id,
            now=arguments.moment_or_now(now),
        )
        return await self._parts.plugin.on_request(request) if self._parts.opened else unserved(request)

    async def on_response(self, outcome: Outcome, reply: str | Message | None) -> Receipt:
        """Queues the turn to be stored and returns at once.

        Args:
            outcome: What `on_request` gave for the request.
            reply: The reply's text, message or chat completion; ``None`` stores the request's part alone.

        Returns:
            A receipt whose `wait` gives what became of each message. Raises nothing.
        """
        if not hasattr(self._parts, "plugin"):
            return Receipt([WriteResult(WriteStatus.REJECTED, "closed")])
        return self._parts.plugin.on_response(outcome, reply)

    async def drain(self) -> None:
        """Waits until every turn accepted so far is stored."""
        await self._ready("drain").plugin.drain()

    # -- memories ---------------------------------------------------------------------------------

    async def add(
        self,
        scope: Scope,
        content: str,
        *,
        type: MemoryType | str = MemoryType.SEMANTIC,
        speaker: str | None = None,
        importance: float = 0.5,
        now: datetime | None = None,
    ) -> MemoryRecord:
        """Stores one memory. The same content and type again is the same memory and changes nothing.

        Raises:
            InvalidRequest: The content is blank or too long, the type unknown, the importance outside [0, 1].
        """
        parts, at = self._ready("add"), arguments.moment(now, "now")
        arguments.check_scope(scope)
        kind = arguments.memory_type(type)
        text = check_content(content, limit=parts.config.write_policy.max_content_bytes)
        draft = MemoryRecord(
            id="",
            scope=scope,
            content=text,
            type=kind,
            speaker=arguments.speaker_name(speaker),
            importance=arguments.fraction(importance, "importance"),
            created_at=at,
            updated_at=at,
        )
        occurrence = 0
        while True:  # an id whose memory was updated since stands for other content now
            record = replace(draft, id=record_id(scope, content=text, type=kind.value, occurrence=occurrence))
            await parts.remember.record(record)
            stored = await self.get(scope, record.id) or record
            if stored.content == text:
                return stored
            occurrence += 1

    async def remember(self, scope: Scope, conversation_id: str, turns: Sequence[Turn]) -> list[WriteResult]:
        """Stores a conversation's turns at once, as the write queue would; for imports and replays.

        Raises:
            InvalidRequest: The conversation id or a speaker is not valid; nothing is stored.
        """
        parts = self._ready("remember")
        arguments.check_scope(scope)
        check_id(conversation_id, "conversation_id")
        cleaned = [
            replace(turn, content=clean(turn.content), speaker=arguments.speaker_name(turn.speaker)) for turn in turns
        ]
        return await parts.remember.turns(scope, conversation_id, cleaned)

    async def search(
        self,
        scope: Scope,
        query: str,
        *,
        limit: int | None = None,
        threshold: float | None = None,
        types: Sequence[MemoryType | str] = (),
        decision: str | None = None,
    ) -> list[Hit]:
        """The memories most relevant to a query, best first; see `recollect`."""
        found = await self.recollect(scope, query, limit=limit, threshold=threshold, types=types, decision=decision)
        return list(found.hits)

    async def recollect(
        self,
        scope: Scope,
        query: str,
        *,
        limit: int | None = None,
        threshold: float | None = None,
        types: Sequence[MemoryType | str] = (),
        decision: str | None = None,
        mode: RankingMode | str | None = None,
        cutoff: CutoffRule | str | None = None,
    ) -> Recollection:
        """A search with the numbers behind it.

        Args:
            limit: 1 to `arguments.MAX_LIMIT`; ``None`` takes the decision's.
            threshold: Least similarity in [0, 1]; ``None`` takes the decision's. 0 returns the best `limit`.
            types: Only these; empty means all.
            decision: Whose policy applies; ``None`` for the globals.
            mode, cutoff: In place of the decision's.

        Raises:
            InvalidRequest: The query is blank or an argument out of range.
        """
        parts = self._ready("search")
        arguments.check_scope(scope)
        if not isinstance(query, str) or not query.strip():
            raise InvalidRequest("query must be a string that is not blank", field="query")
        policy = parts.config.policy(arguments.decision_name(decision)).recall
        policy = replace(
            policy,
            limit=policy.limit if limit is None else arguments.page_limit(limit),
            threshold=policy.threshold if threshold is None else arguments.fraction(threshold, "threshold"),
            mode=policy.mode if mode is None else arguments.member(RankingMode, mode, "mode"),
            cutoff=policy.cutoff if cutoff is None else arguments.member(CutoffRule, cutoff, "cutoff"),
        )
        return await parts.recall.recollect(
            scope, query, policy, types=frozenset(arguments.memory_type(kind) for kind in types)
        )

    async def get(self, scope: Scope, id: str) -> MemoryRecord | None:
        """The memory, or ``None`` when the scope has none of that id."""
        parts = self._ready("get")
        arguments.check_scope(scope)
        return await parts.store.get(scope, id)

    async def list(
        self,
        scope: Scope,
        *,
        types: Sequence[MemoryType | str] = (),
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page:
        """Memories, newest first, a page at a time; `Page.cursor` leads to the next one."""
        parts = self._ready("list")
        arguments.check_scope(scope)
        kinds = frozenset(arguments.memory_type(kind) for kind in types)
        return await parts.store.list(scope, types=kinds, limit=arguments.page_limit(limit), cursor=cursor)

    async def update(
        self,
        scope: Scope,
        id: str,
        *,
        content: str | None = None,
        type: MemoryType | str | None = None,
        importance: float | None = None,
    ) -> MemoryRecord | None:
        """Changes a memory; new content is embedded anew. ``None`` when the scope has none of that id.

        Raises:
            InvalidRequest: Nothing to change, or a value is not valid.
        """
        if content is None and type is None and importance is None:
            raise InvalidRequest("nothing to update: give content, type or importance")
        parts = self._ready("update")
        record = await self.get(scope, id)
        if record is None:
            return None
        limit = parts.config.write_policy.max_content_bytes
        return await parts.remember.change(
            record,
            content=None if content is None else check_content(content, limit=limit),
            type=None if type is None else arguments.memory_type(type),
            importance=None if importance is None else arguments.fraction(importance, "importance"),
            at=datetime.now(UTC),
        )

    async def forget(self, scope: Scope, *ids: str) -> int:
        """Deletes memories; returns how many there were. Turns accepted before are written first."""
        parts = self._ready("forget")
        arguments.check_scope(scope)
        await parts.plugin.settle(scope)
        return await parts.store.forget(scope, ids)

    async def forget_scope(
        self, scope: Scope, *, types: Sequence[MemoryType | str] = (), older_than: datetime | None = None
    ) -> int:
        """Deletes the scope's memories: all, or those of some types, or those created before a time.

        Turns accepted before are written first, so that they are deleted too.
        """
        parts = self._ready("forget_scope")
        arguments.check_scope(scope)
        kinds = frozenset(arguments.memory_type(kind) for kind in types)
        before = None if older_than is None else arguments.moment(older_than, "older_than")
        await parts.plugin.settle(scope)
        return await parts.store.forget_scope(scope, types=kinds, older_than=before)

    async def count(self, scope: Scope, *, types: Sequence[MemoryType | str] = ()) -> int:
        """How many memories the scope holds."""
        parts = self._ready("count")
        arguments.check_scope(scope)
        return await parts.store.count(scope, types=frozenset(arguments.memory_type(kind) for kind in types))

    # -- moving -----------------------------------------------------------------------------------

    def export(self, scope: Scope | None = None) -> AsyncGenerator[MemoryRecord, None]:
        """Every memory of the scope, or of all users, a user after the other, each newest first.

        They are read a page at a time while requests go on. Turns accepted before are written first. A memory that
        is there all the while is given once; of all users, some 100 bytes for each are kept to that end. No model
        is needed.

        Args:
            scope: A user, maybe narrowed to a project; ``None`` for all users.
        """
        parts = self._ready("export")
        if scope is not None:
            arguments.check_scope(scope)
        return _exported(parts, scope)

    async def restore(self, records: Iterable[MemoryRecord] | AsyncIterable[MemoryRecord]) -> Restored:
        """Stores memories as they are: those of `export`, maybe of another store or with another model.

        Ids, owners, times, counts and everything else stay; only vectors and stems are made anew. What is there
        already is left alone, so a call that failed can be repeated. Records are taken as they come and stored in
        batches.

        Raises:
            InvalidRequest: A record is not fit to be stored; the message says which, counted from 1. Those before
                it are stored.
        """
        return await self._restore(records, first=1)

    async def _restore(self, records: Iterable[MemoryRecord] | AsyncIterable[MemoryRecord], *, first: int) -> Restored:
        parts = self._ready("restore")
        stored = merged = 0
        async for batch in batches(records, first=first):
            statuses = await parts.remember.records(batch)
            stored += statuses.count(WriteStatus.STORED)
            merged += statuses.count(WriteStatus.MERGED)
        return Restored(stored, merged)

    def _ready(self, operation: str) -> Assembly:
        if not self._parts.opened:
            raise BackendUnavailable(
                "not open",
                backend="memory",
                operation=operation,
                hint="use it inside `async with MemoryPlugin.open(...)`",
            )
        return self._parts

    # -- state ------------------------------------------------------------------------------------

    async def stats(self) -> StoreStats:
        """What the store holds, over all users."""
        return await self._ready("stats").store.stats()

    @property
    def counters(self) -> Mapping[str, int]:
        """Outcomes since the start, by name; never holds a user id."""
        return dict(self._parts.counters)

    @property
    def queue_depth(self) -> int:
        """Number of turns accepted and not yet written."""
        return self._parts.plugin.queue_depth if hasattr(self._parts, "plugin") else 0

    @property
    def decisions(self) -> tuple[str, ...]:
        """Names of the decisions the configuration knows."""
        return tuple(self._parts.config.decisions)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the configuration asks for that has no effect here, or not the full one."""
        return self._parts.warnings


async def _exported(parts: Assembly, scope: Scope | None) -> AsyncGenerator[MemoryRecord, None]:
    if scope is None:
        await parts.plugin.drain()
    else:
        await parts.plugin.settle(scope)
    async for record in every_memory(parts.store, scope):
        yield record
