"""Memories on their way out of a store and into one: read page by page, taken in batches."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

from router_memory.errors import InvalidRequest
from router_memory.protocols import MemoryStore
from router_memory.storage.portable import check_portable
from router_memory.types import MemoryRecord, Scope

__all__ = ["BATCH", "batches", "every_memory"]

BATCH = 64
"""Most memories embedded and stored together."""

_BATCH_CHARS = 1 << 20
_PAGE = 256


async def every_memory(store: MemoryStore, scope: Scope | None) -> AsyncIterator[MemoryRecord]:
    """The memories of a scope, newest first; of all users, one after the other, without one.

    What is there all the while is given once. Of each user seen a digest is kept to that end.
    """
    if scope is not None:
        async for record in _of(store, scope):
            yield record
        return
    seen: set[bytes] = set()
    async for user_id in store.users():
        user = Scope(user_id)
        digest = bytes.fromhex(user.user_digest)
        if digest not in seen:
            seen.add(digest)
            async for record in _of(store, user):
                yield record


async def _of(store: MemoryStore, scope: Scope) -> AsyncIterator[MemoryRecord]:
    cursor = None
    while True:
        page = await store.list(scope, limit=_PAGE, cursor=cursor)
        for record in page.records:
            yield record
        cursor = page.cursor
        if cursor is None:
            return


async def batches(
    records: Iterable[MemoryRecord] | AsyncIterable[MemoryRecord], *, first: int = 1
) -> AsyncIterator[list[MemoryRecord]]:
    """The records, checked, in batches of at most `BATCH` and of about a million characters.

    Args:
        records: In any order.
        first: The number of the first one, for errors.

    Raises:
        InvalidRequest: One is not fit to be stored. The batch of those before it was given first.
    """
    batch: list[MemoryRecord] = []
    number, size = first - 1, 0
    async for record in _each(records):
        number += 1
        wrong = _finding(record, number)
        if wrong is not None:
            if batch:
                yield batch
            raise wrong
        batch.append(record)
        size += len(record.content)
        if len(batch) == BATCH or size >= _BATCH_CHARS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _finding(record: MemoryRecord, number: int) -> InvalidRequest | None:
    try:
        check_portable(record)
    except InvalidRequest as error:
        return InvalidRequest(f"record {number}: {error.message}", field=error.field, hint=error.hint)
    return None


async def _each(records: Iterable[MemoryRecord] | AsyncIterable[MemoryRecord]) -> AsyncIterator[MemoryRecord]:
    if isinstance(records, AsyncIterable):
        async for record in records:
            yield record
    elif isinstance(records, Iterable):
        for record in records:
            yield record
    else:
        raise InvalidRequest(f"records must be iterable, not {type(records).__name__}", field="records")
