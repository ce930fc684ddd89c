"""`export` and `restore`: memories out of one store and into another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from router_memory import MemoryPlugin, MemoryRecord, Scope, SyncMemory
from router_memory.config import load_config
from router_memory.errors import BackendUnavailable, EmbeddingError, InvalidRequest
from router_memory.pipeline.transfer import BATCH, batches, every_memory
from router_memory.types import MemoryType, Page, Restored, record_id
from router_memory.wiring import Assembly
from tests.doubles import HashingEmbedder
from tests.unit.conftest import Opener

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def record(seed: int, scope: Scope | None = None, **fields: Any) -> MemoryRecord:
    """A memory with a value in every field."""
    owner, content = scope or Scope(f"user {seed % 3}", None if seed % 2 else "p"), f"memory number {seed}"
    values: dict[str, Any] = {
        "id": record_id(owner, content=content, type="episodic"),
        "scope": owner,
        "content": content,
        "type": MemoryType.EPISODIC,
        "role": "assistant",
        "speaker": "Zoë",
        "conversation_id": "c,1",
        "position": seed,
        "part": 1,
        "created_at": START + timedelta(minutes=seed),
        "updated_at": START + timedelta(days=9),
        "importance": 0.25,
        "access_count": 4,
        "accessed_at": START + timedelta(days=10),
    }
    return MemoryRecord(**(values | fields))


def by_id(records: list[MemoryRecord]) -> dict[str, MemoryRecord]:
    assert len({each.id for each in records}) == len(records)
    return {each.id: each for each in records}


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


async def everything(memory: MemoryPlugin, scope: Scope | None = None) -> list[MemoryRecord]:
    return [each async for each in memory.export(scope)]


async def test_what_is_restored_is_exported_again_as_it_was(opened: Opener) -> None:
    """Every field, of all users and projects; more than a page and a batch."""
    records = [record(seed) for seed in range(1_000)]
    async with opened() as memory:
        assert await memory.restore(records) == Restored(stored=1_000)
        assert by_id(await everything(memory)) == by_id(records)


async def test_a_scope_is_exported_newest_first(opened: Opener) -> None:
    """Of a user or of one project, and nobody else's."""
    records = [record(seed) for seed in range(12)]
    async with opened() as memory:
        await memory.restore(records)
        user = await everything(memory, Scope("user 0"))
        project = await everything(memory, Scope("user 0", "p"))
    assert user == [each for each in reversed(records) if each.scope.user_id == "user 0"]
    assert project == [each for each in user if each.scope.project == "p"]


async def test_restored_memories_are_found(opened: Opener) -> None:
    """Vectors and stems are made anew."""
    async with opened() as memory:
        await memory.restore([record(1, Scope("ana"), content="prefers aisle seats")])
        (hit,) = await memory.search(Scope("ana"), "aisle seats", threshold=0.6)
    assert hit.record.content == "prefers aisle seats"


async def test_what_is_there_is_left_alone_and_not_embedded(opened: Opener, embedder: HashingEmbedder) -> None:
    """So an interrupted call can be repeated."""
    records = [record(seed) for seed in range(3)]
    async with opened() as memory:
        await memory.restore(records[:2])
        embedder.passages.clear()
        changed = [replace(each, content=f"changed {each.position}") for each in records]
        assert await memory.restore([*changed, changed[2]]) == Restored(stored=1, merged=3)
        assert embedder.passages == ["changed 2"]
        assert by_id(await everything(memory)) == by_id([*records[:2], changed[2]])


async def test_an_id_the_user_has_in_another_project_is_there_already(opened: Opener) -> None:
    """As a store sees it."""
    home = record(1, Scope("ana", "home"))
    async with opened() as memory:
        assert await memory.restore([home]) == Restored(stored=1)
        assert await memory.restore([replace(home, scope=Scope("ana", "work"))]) == Restored(merged=1)
        assert await memory.restore([replace(home, scope=Scope("bob"))]) == Restored(stored=1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"scope": "ana"}, "scope"),
        ({"content": " \n"}, "content"),
        ({"content": "a\0b"}, "content"),
        ({"content": "\ud800"}, "content"),
        ({"content": None}, "content"),
        ({"type": "episodic"}, "types"),
        ({"importance": 1.5}, "importance"),
        ({"importance": float("nan")}, "importance"),
        ({"importance": 10**400}, "importance"),
        ({"importance": True}, "importance"),
        ({"importance": "0.5"}, "importance"),
        ({"position": -1}, "position"),
        ({"access_count": 1.0}, "access_count"),
        ({"created_at": datetime(2026, 1, 1)}, "created_at"),  # noqa: DTZ001 - the point
        ({"updated_at": "2026-01-01"}, "updated_at"),
        ({"speaker": 5}, "speaker"),
    ],
)
async def test_a_record_that_cannot_be_kept_is_named_and_those_before_it_stored(
    opened: Opener, fields: dict[str, Any], field: str
) -> None:
    """A typed error that counts from 1 and quotes nothing."""
    records = [record(1), record(2), replace(record(3), **fields), record(4)]
    async with opened() as memory:
        with pytest.raises(InvalidRequest, match=r"^record 3: ") as caught:
            await memory.restore(records)
        assert caught.value.field == field
        assert by_id(await everything(memory)) == by_id(records[:2])


@pytest.mark.parametrize("records", [7, None, [{"id": "x"}], ["x"]])
async def test_anything_but_records_is_refused(opened: Opener, records: Any) -> None:
    """With the typed error."""
    async with opened() as memory:
        with pytest.raises(InvalidRequest):
            await memory.restore(records)


async def test_records_are_taken_as_they_are_stored(opened: Opener, embedder: HashingEmbedder) -> None:
    """Never more than a batch of them is kept."""
    most = 0

    async def records() -> AsyncIterator[MemoryRecord]:
        nonlocal most
        for seed in range(5 * BATCH):
            most = max(most, seed - len(embedder.passages))
            yield record(seed)

    async with opened() as memory:
        assert await memory.restore(records()) == Restored(stored=5 * BATCH)
    assert most < BATCH


async def test_long_texts_make_small_batches() -> None:
    """A batch is bounded in characters as well."""
    long = record(1, content="x" * 700_000)
    assert [len(batch) async for batch in batches([long] * 5)] == [2, 2, 1]


async def test_a_failure_keeps_what_was_stored(opened: Opener, embedder: HashingEmbedder) -> None:
    """And the next call goes on."""

    def records() -> Iterator[MemoryRecord]:
        for seed in range(3 * BATCH):
            embedder.failing = seed >= 2 * BATCH and not repaired
            yield record(seed)

    repaired = False
    async with opened() as memory:
        with pytest.raises(EmbeddingError):
            await memory.restore(records())
        repaired = True
        assert await memory.restore(records()) == Restored(stored=BATCH, merged=2 * BATCH)


async def test_turns_accepted_before_are_exported(opened: Opener) -> None:
    """They are written first."""
    async with opened() as memory:
        for scope in (None, Scope("ana")):
            outcome = await memory.on_request(
                decision="wide", user_id="ana", messages=[{"role": "user", "content": f"I moved to Porto {scope}"}]
            )
            await memory.on_response(outcome, "Noted.")
            assert f"I moved to Porto {scope}" in [each.content for each in await everything(memory, scope)]


async def test_an_export_goes_on_while_memories_come_and_go(opened: Opener) -> None:
    """What is there all the while is given once."""
    records = [record(seed, Scope("ana")) for seed in range(600)]
    seen: list[str] = []
    async with opened() as memory:
        await memory.restore(records)
        async for each in memory.export():
            seen.append(each.id)
            if len(seen) in (10, 300):
                await memory.add(Scope("ana"), f"new after {len(seen)}")
                await memory.forget(Scope("ana"), records[0].id)
    kept = [each.id for each in records[1:]]
    assert sorted(each for each in seen if each in set(kept)) == sorted(kept)


async def test_a_user_whom_a_store_gives_twice_is_exported_once() -> None:
    """SCAN may do that."""

    class Store:
        async def users(self) -> AsyncIterator[str]:
            for user in ("ana", "bob", "ana"):
                yield user

        async def list(self, scope: Scope, **_: Any) -> Page:
            return Page((record(1, scope),), None, 1)

    store: Any = Store()
    assert [each.scope.user_id async for each in every_memory(store, None)] == ["ana", "bob"]


async def test_a_plugin_that_is_not_open_refuses(opened: Opener) -> None:
    """At once, before anything is iterated."""
    async with opened() as memory:
        pass
    with pytest.raises(BackendUnavailable):
        memory.export()
    with pytest.raises(BackendUnavailable):
        await memory.restore([])


async def test_an_export_of_something_else_than_a_scope_is_refused(opened: Opener) -> None:
    """A user id alone is none."""
    async with opened() as memory:
        with pytest.raises(InvalidRequest):
            memory.export("ana")  # type: ignore[arg-type]


# -- without an event loop


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[SyncMemory, SyncMemory]]:
    """Two stores, each with its loop."""
    with ExitStack() as stack:
        opened = []
        for name in ("a.db", "b.db"):
            source = {"global": {"stores": {"memory": {"enabled": True, "embedded": {"path": str(tmp_path / name)}}}}}
            plugin = MemoryPlugin(Assembly(load_config(source), HashingEmbedder))
            opened.append(stack.enter_context(SyncMemory(plugin)))
        yield opened[0], opened[1]


def test_one_sync_memory_takes_anothers_export(two: tuple[SyncMemory, SyncMemory]) -> None:
    """And its own, without waiting for itself."""
    source, target = two
    records = [record(seed) for seed in range(2 * BATCH + 5)]
    assert source.restore(iter(records)) == Restored(stored=len(records))
    assert target.restore(source.export()) == Restored(stored=len(records))
    assert by_id(list(target.export())) == by_id(records)
    assert target.restore(target.export(Scope("user 0"))).stored == 0


def test_records_are_counted_over_all_batches(two: tuple[SyncMemory, SyncMemory]) -> None:
    """As the caller counts them."""
    records = [record(seed) for seed in range(BATCH + 5)]
    with pytest.raises(InvalidRequest, match=rf"^record {BATCH + 6}: "):
        two[0].restore([*records, replace(records[0], id="")])
    assert len(list(two[0].export())) == len(records)


def test_a_sync_export_may_be_left_early(two: tuple[SyncMemory, SyncMemory]) -> None:
    """Also when the memory is closed before the iterator."""
    memory = two[0]
    memory.restore([record(seed) for seed in range(2 * BATCH)])
    exported = memory.export()
    assert len(list(islice(exported, 3))) == 3
    memory.close()
    del exported


@pytest.mark.parametrize("records", [7, None])
def test_sync_restore_takes_iterables_alone(two: tuple[SyncMemory, SyncMemory], records: Any) -> None:
    """With the typed error."""
    with pytest.raises(InvalidRequest):
        two[0].restore(records)
