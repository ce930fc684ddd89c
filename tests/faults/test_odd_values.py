"""Values at the edge of what can be stored: both stores refuse the same, before anything is written."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from router_memory.backends.embedded import EmbeddedStore
from router_memory.errors import InvalidRequest
from router_memory.types import Scope
from tests.contract.samples import DIMENSION, FINGERPRINT, START, change, memory, query
from tests.servers.stores import store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router_memory.protocols import MemoryStore

ALICE = Scope("alice")
EAST, WEST = timezone(timedelta(hours=1)), timezone(timedelta(hours=-1))
BEFORE_ALL = datetime(1, 1, 1, 0, 30, tzinfo=EAST)
"""In UTC this is in the year 0, of which there is none."""
AFTER_ALL = datetime(9999, 12, 31, 23, 30, tzinfo=WEST)


@pytest.fixture(params=["embedded", "valkey"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    """One of each kind."""
    if request.param == "valkey":
        async with store_on([request.getfixturevalue("search_server").address]) as valkey:
            yield valkey
    else:
        async with _embedded(tmp_path / "memories.db") as embedded:
            yield embedded


@asynccontextmanager
async def _embedded(path: Path) -> AsyncIterator[MemoryStore]:
    made = EmbeddedStore(path, dimension=DIMENSION, fingerprint=FINGERPRINT, synchronous="off")
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("created_at", BEFORE_ALL, id="created before all"),
        pytest.param("updated_at", BEFORE_ALL, id="updated before all"),
        pytest.param("accessed_at", AFTER_ALL, id="accessed after all"),
        pytest.param("importance", 10**400, id="an integer no float holds"),
        pytest.param("importance", -(10**30), id="a huge negative integer"),
        pytest.param("importance", 1e300, id="a huge float"),
    ],
)
async def test_what_cannot_be_stored_is_refused(store: MemoryStore, field: str, value: Any) -> None:
    """The caller's fault, named by its field; nothing of the batch is stored."""
    odd = memory(ALICE, 2)
    odd = replace(odd, record=replace(odd.record, **{field: value}))
    with pytest.raises(InvalidRequest) as raised:
        await store.add(ALICE, [memory(ALICE, 1), odd])
    assert raised.value.field == field
    assert (await store.list(ALICE)).records == ()
    assert (await store.candidates(query(ALICE))).candidates == ()


async def test_changes_are_held_to_the_same(store: MemoryStore) -> None:
    """A change, a touch and a deletion by age."""
    await store.add(ALICE, [memory(ALICE, 1)])
    held = await store.get(ALICE, memory(ALICE, 1).record.id)
    assert held is not None
    for refused in (
        store.update(ALICE, held.id, replace(change(memory(ALICE, 2)), at=BEFORE_ALL)),
        store.update(ALICE, held.id, change(memory(ALICE, 2), importance=10**400)),
        store.touch(ALICE, [held.id], AFTER_ALL),
        store.forget_scope(ALICE, older_than=AFTER_ALL),
    ):
        with pytest.raises(InvalidRequest):
            await refused
    assert await store.get(ALICE, held.id) == held


async def test_the_first_and_the_last_moment_can_be_stored(store: MemoryStore) -> None:
    """They come back, and stand in their order."""
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    await store.add(ALICE, [memory(ALICE, n, created_at=at, updated_at=at) for n, at in ((1, first), (2, last))])
    await store.add(ALICE, [memory(ALICE, 3, created_at=START, importance=float(2**62))])
    listed = (await store.list(ALICE)).records
    assert [record.created_at for record in listed] == [last, START, first]
    assert listed[1].importance == float(2**62)
    assert len((await store.candidates(query(ALICE))).candidates) == 3
