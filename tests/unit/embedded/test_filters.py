"""A filter that leaves few of a large user's memories: what a search reads is bounded by what is left."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.embedded import kinds
from router_memory.errors import BackendTimeout
from router_memory.types import MemoryType, MemoryWrite, Scope
from tests.contract.samples import ids, memories, memory, query
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from pathlib import Path

    from router_memory.backends.embedded import EmbeddedStore
    from router_memory.types import CandidateSet

ALICE, BOB = Scope("alice"), Scope("bob")
WORK = Scope("alice", "work")
MANY, FEW = 2_000, 5
RULES = frozenset({MemoryType.PROCEDURAL})


def _work() -> list[MemoryWrite]:
    return memories(WORK, FEW, first=MANY)


def _rules() -> list[MemoryWrite]:
    return [memory(ALICE, seed, type=MemoryType.PROCEDURAL) for seed in range(MANY + FEW, MANY + 2 * FEW)]


async def _fill(store: EmbeddedStore) -> None:
    """Many memories of Alice's without a project, a few of hers in one, a few of another type, and Bob's like hers."""
    await store.add(ALICE, memories(ALICE, MANY))
    await store.add(WORK, _work())
    await store.add(ALICE, _rules())
    for scope in (BOB, Scope("bob", "work")):
        await store.add(scope, [memory(scope, seed, type=MemoryType.PROCEDURAL) for seed in range(FEW)])


def _found(result: CandidateSet) -> set[str]:
    return {candidate.record.id for candidate in result.candidates}


async def _steps(store: EmbeddedStore, scope: Scope, types: frozenset[MemoryType]) -> tuple[set[str], int]:
    """What a search finds, and how many instructions of SQLite's it takes, in tens."""
    (connection,) = store._usable("test").connections._searchers
    steps: list[None] = []
    connection.set_progress_handler(lambda: steps.append(None), 10)
    found = _found(await store.candidates(query(scope, dense_limit=50, types=types)))
    connection.set_progress_handler(None, 0)
    return found, len(steps)


def _without_index(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX records_by_kind")


def _has_index(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return kinds.has_kinds(connection)


@pytest.mark.parametrize("by", ["project", "type"])
async def test_what_a_filter_leaves_out_is_not_read(tmp_path: Path, by: str) -> None:
    """A project of five memories, or a type of five, takes a search no longer for thousands of others."""
    async with opened(tmp_path / "memories.db", promote_at=0, readers=1) as store:
        await _fill(store)
        await store.settle()
        if by == "project":
            found, steps = await _steps(store, WORK, frozenset())
            assert found == set(ids(_work()))
        else:
            found, steps = await _steps(store, ALICE, RULES)
            assert found == set(ids(_rules()))
        assert steps * 10 < MANY


async def test_an_older_file_gets_the_index_when_a_search_would_need_it(tmp_path: Path) -> None:
    """That search reads everything and finds the same; a search without a filter changes nothing in the file."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await _fill(store)
    _without_index(path)
    async with opened(path, promote_at=0) as store:
        await store.settle()
        await store.candidates(query(ALICE))
        await store.add(ALICE, memories(ALICE, 1, first=5_000))
        assert not _has_index(path)
        before = _found(await store.candidates(query(WORK, dense_limit=50)))
        await store.add(ALICE, memories(ALICE, 1, first=5_001))  # takes its turn behind the index
        assert _has_index(path)
        after = _found(await store.candidates(query(WORK, dense_limit=50)))
    assert before == after == set(ids(_work()))


async def test_a_user_who_is_held_in_memory_needs_no_index(tmp_path: Path) -> None:
    """An older file of small users stays as it is."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await _fill(store)
    _without_index(path)
    async with opened(path) as store:
        assert _found(await store.candidates(query(WORK))) == set(ids(_work()))
        await store.add(ALICE, memories(ALICE, 1, first=5_000))
    assert not _has_index(path)


async def test_searches_do_without_an_index_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, and neither searches nor writes fail."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await _fill(store)
    _without_index(path)
    monkeypatch.setattr(kinds, "CREATE_KINDS", "CREATE INDEX records_by_kind ON nowhere (nothing)")
    with caplog.at_level(logging.WARNING, "router_memory.embedded"):
        async with opened(path, promote_at=0) as store:
            for seed in (5_000, 5_001):
                assert _found(await store.candidates(query(WORK, dense_limit=50))) == set(ids(_work()))
                await store.add(ALICE, memories(ALICE, 1, first=seed))
    assert len([record for record in caplog.records if "project and type" in record.message]) == 1


async def test_an_index_that_another_process_was_in_the_way_of_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock passes, so the store need not be opened again."""
    path = tmp_path / "memories.db"
    async with opened(path) as store:
        await _fill(store)
    _without_index(path)
    monkeypatch.setattr(kinds, "_RETRY_SECONDS", 0.0)
    async with opened(path, promote_at=0, busy_timeout_ms=0) as store:
        await store.settle()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert _found(await store.candidates(query(WORK, dense_limit=50))) == set(ids(_work()))
            with pytest.raises(BackendTimeout):
                await store.add(ALICE, memories(ALICE, 1, first=5_000))  # takes its turn behind the index
        assert not _has_index(path)
        assert _found(await store.candidates(query(WORK, dense_limit=50))) == set(ids(_work()))
        await store.add(ALICE, memories(ALICE, 1, first=5_000))
    assert _has_index(path)


async def test_a_memory_is_found_under_the_type_it_was_given_last(tmp_path: Path) -> None:
    """What is forgotten is found under none."""
    async with opened(tmp_path / "memories.db", promote_at=0) as store:
        await _fill(store)
        first, second, *rest = ids(_rules())
        await store.forget(ALICE, [first])
        assert await store.forget_scope(WORK) == FEW
        assert _found(await store.candidates(query(ALICE, dense_limit=50, types=RULES))) == {second, *rest}
        assert _found(await store.candidates(query(WORK, dense_limit=50))) == set()
