"""The write path: turns become memories with stems, vectors and ids, and go to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from router_memory.errors import InvalidRequest
from router_memory.pipeline.cleaning import clean, is_low_entropy, split_bytes
from router_memory.protocols import Embedder, MemoryStore
from router_memory.ranking import document
from router_memory.types import (
    MemoryChange,
    MemoryRecord,
    MemoryType,
    MemoryWrite,
    Scope,
    Turn,
    WritePolicy,
    WriteResult,
    WriteStatus,
    record_id,
)

__all__ = ["TOO_LARGE", "Remember", "check_content"]

TOO_LARGE = "content_too_large"
"""Why a message that would become too many memories is skipped."""


def check_content(content: object, *, limit: int) -> str:
    """The content as it will be stored.

    Raises:
        InvalidRequest: It is not a string, blank, or longer than `limit` UTF-8 bytes.
    """
    if not isinstance(content, str):
        raise InvalidRequest(f"content must be a string, not {type(content).__name__}", field="content")
    text = clean(content)
    if not text:
        raise InvalidRequest("content must not be empty or blank", field="content")
    size = len(text.encode())
    if size > limit:
        raise InvalidRequest(
            f"content has {size:,} bytes; at most {limit:,} are accepted",
            field="content",
            hint="split it, or raise write.max_content_bytes",
        )
    return text


@dataclass(frozen=True, slots=True)
class Remember:
    """Turns content into memories and stores them.

    Attributes:
        store, embedder: Where to and by what.
        policy: What is worth storing.
    """

    store: MemoryStore
    embedder: Embedder
    policy: WritePolicy

    async def record(self, record: MemoryRecord) -> WriteStatus:
        """Stores one ready-made memory. Errors of embedder and store pass through."""
        (write,) = await self._with_vectors([record])
        (status,) = await self.store.add(record.scope, [write])
        return status

    async def records(self, records: Sequence[MemoryRecord]) -> list[WriteStatus]:
        """Stores ready-made memories of any scopes, embedding together those that are not there yet.

        Errors of embedder and store pass through. What was stored before them stays; repeating the call is safe.

        Returns:
            For each record, in order, STORED, or MERGED where the user has its id already.
        """
        statuses = [WriteStatus.MERGED] * len(records)
        fresh = await self._unknown(records)
        by_scope: dict[Scope, list[tuple[int, MemoryWrite]]] = {}
        for place, write in zip(fresh, await self._with_vectors([records[place] for place in fresh]), strict=True):
            by_scope.setdefault(write.record.scope, []).append((place, write))
        for scope, placed in by_scope.items():
            for (place, _), status in zip(
                placed, await self.store.add(scope, [write for _, write in placed]), strict=True
            ):
                statuses[place] = status
        return statuses

    async def _unknown(self, records: Sequence[MemoryRecord]) -> list[int]:
        """The places of those records whose ids their users have not yet; the first of equal ones."""
        first: dict[str, dict[str, int]] = {}
        for place, record in enumerate(records):
            first.setdefault(record.scope.user_id, {}).setdefault(record.id, place)
        fresh: list[int] = []
        for user, places in first.items():
            known = await self.store.contains(Scope(user), list(places))
            fresh += [place for id, place in places.items() if id not in known]  # noqa: A001 - the field's own name
        return sorted(fresh)

    async def change(
        self,
        record: MemoryRecord,
        *,
        content: str | None,
        type: MemoryType | None,
        importance: float | None,
        at: datetime,
    ) -> MemoryRecord | None:
        """Sets fields of an existing memory; only new content is embedded. ``None`` when the memory is gone."""
        change = MemoryChange(at=at, type=type, importance=importance)
        if content is not None:
            (write,) = await self._with_vectors([replace(record, content=content)])
            change = replace(change, content=content, document=write.document, vectors=write.vectors)
        return await self.store.update(record.scope, record.id, change)

    async def turns(
        self, scope: Scope, conversation_id: str, turns: Sequence[Turn], *, type: MemoryType = MemoryType.SEMANTIC
    ) -> list[WriteResult]:
        """Stores a conversation's turns: those not worth it are skipped, those there already are merged.

        Returns:
            One result for each memory a turn became, in order; one for a turn that became none.
        """
        results: list[WriteResult] = []
        places: list[int] = []
        records: list[MemoryRecord] = []
        for turn in turns:
            reason = self._unworthy(turn)
            made = [] if reason else self._records(scope, conversation_id, turn, type)
            if reason or len(made) > self.policy.max_parts:
                results.append(WriteResult(WriteStatus.SKIPPED, reason or TOO_LARGE))
                continue
            for record in made:
                places.append(len(results))
                records.append(record)
                results.append(WriteResult(WriteStatus.UNKNOWN, id=record.id))
        known = await self.store.contains(scope, [record.id for record in records]) if records else frozenset()
        fresh = await self._with_vectors([record for record in records if record.id not in known])
        statuses = iter(await self.store.add(scope, fresh)) if fresh else iter(())
        for place, record in zip(places, records, strict=True):
            status = WriteStatus.MERGED if record.id in known else next(statuses)
            results[place] = replace(results[place], status=status)
        return results

    async def _with_vectors(self, records: Sequence[MemoryRecord]) -> list[MemoryWrite]:
        vectors = await self.embedder.embed_passages([record.content for record in records]) if records else []
        return [
            MemoryWrite(record, document(record.content, record.speaker), rows)
            for record, rows in zip(records, vectors, strict=True)
        ]

    def _unworthy(self, turn: Turn) -> str:
        if turn.role not in self.policy.roles:
            return "role"
        if len(turn.content) > self.policy.max_content_bytes * self.policy.max_parts:
            return TOO_LARGE
        return "low_entropy" if is_low_entropy(turn.content) else ""

    def _records(self, scope: Scope, conversation_id: str, turn: Turn, type: MemoryType) -> list[MemoryRecord]:
        created: datetime = turn.created_at
        return [
            MemoryRecord(
                id=record_id(
                    scope,
                    content=content,
                    type=type.value,
                    role=turn.role,
                    conversation_id=conversation_id,
                    occurrence=turn.occurrence,
                    part=part,
                ),
                scope=scope,
                content=content,
                type=type,
                role=turn.role,
                speaker=turn.speaker or turn.role,
                conversation_id=conversation_id,
                position=turn.position,
                part=part,
                created_at=created,
                updated_at=created,
                importance=self.policy.importance,
            )
            for part, content in enumerate(split_bytes(turn.content, self.policy.max_content_bytes))
        ]
