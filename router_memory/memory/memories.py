"""The memories themselves: what is stored, found, changed and forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from router_memory import arguments
from router_memory.errors import InvalidRequest
from router_memory.memory.parts import Parts
from router_memory.pipeline.cleaning import clean
from router_memory.pipeline.remember import check_content
from router_memory.types import (
    CutoffRule,
    Hit,
    MemoryRecord,
    MemoryType,
    Page,
    RankingMode,
    Recollection,
    Scope,
    Turn,
    WriteResult,
    WriteStatus,
    check_id,
    record_id,
)

__all__ = ["Memories"]


class Memories(Parts):
    """The part of `MemoryPlugin` that works on one user's memories."""

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
        while True:
            record = replace(draft, id=record_id(scope, content=text, type=kind.value, occurrence=occurrence))
            if await parts.remember.record(record) is WriteStatus.STORED:
                return record
            stored = await self.get(scope, record.id) or record
            if stored.content == text:
                return stored
            occurrence += 1  # an id whose memory was updated since stands for other content now

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
