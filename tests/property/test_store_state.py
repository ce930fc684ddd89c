"""The embedded store against a model of a few dictionaries, over random sequences of calls."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from router_memory.backends.embedded import EmbeddedStore
from router_memory.types import MemoryChange, MemoryType, MemoryWrite, Scope, WriteStatus
from tests.contract.samples import DIMENSION, FINGERPRINT, START, best_cosine, change, memory, query, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")

USERS = ("a", "A", "a,b", "*")
PROJECTS = (None, "p", "P")
STEMS = ("tea", "pot", "cup", "🦊", "it's")

scopes = st.builds(Scope, st.sampled_from(USERS), st.sampled_from(PROJECTS))
stems = st.dictionaries(st.sampled_from(STEMS), st.integers(1, 3), max_size=4)


@st.composite
def writes(draw: st.DrawFn, scope: Scope) -> MemoryWrite:
    """A memory of the scope; few seeds, so that ids repeat."""
    seed = draw(st.integers(0, 12))
    return memory(
        scope,
        seed,
        stems=draw(stems),
        rows=draw(st.integers(1, 3)),
        conversation_id=draw(st.sampled_from((None, "c", "d"))),
    )


class StoreMachine(RuleBasedStateMachine):
    """Every rule calls the store and the model; the invariants compare them.

    The model is user -> id -> memory.
    """

    seen = Bundle("seen")
    options: dict[str, int] = {}  # noqa: RUF012 - set by subclasses

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.model: dict[str, dict[str, MemoryWrite]] = {user: {} for user in USERS}
        self.epochs: set[str] = set()
        self.store = self._new_store()

    def _new_store(self) -> EmbeddedStore:
        store = EmbeddedStore(
            self.folder / "memories.db",
            dimension=DIMENSION,
            fingerprint=FINGERPRINT,
            synchronous="off",
            **self.options,
        )
        self.run(store.open())
        return store

    def run(self, call: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(call)

    def held(self, scope: Scope) -> dict[str, MemoryWrite]:
        """What the model has in the scope."""
        return {
            name: write
            for name, write in self.model[scope.user_id].items()
            if scope.project is None or write.record.scope.project == scope.project
        }

    def epoch(self, user: str) -> str:
        return self.run(self.store.statistics(Scope(user), [])).epoch

    @rule(target=seen, data=st.data(), scope=scopes)
    def add(self, data: st.DataObject, scope: Scope) -> Any:
        batch = data.draw(st.lists(writes(scope), min_size=1, max_size=5))
        before = self.epoch(scope.user_id)
        held = self.model[scope.user_id]
        expected = []
        for write in batch:
            expected.append(WriteStatus.MERGED if write.record.id in held else WriteStatus.STORED)
            held.setdefault(write.record.id, write)
        assert self.run(self.store.add(scope, batch)) == expected
        assert (self.epoch(scope.user_id) == before) == (WriteStatus.STORED not in expected)
        return multiple(*(write.record.id for write in batch))

    @rule(
        name=seen,
        data=st.data(),
        scope=scopes,
        text=st.booleans(),
        kind=st.none() | st.sampled_from(MemoryType),
        importance=st.none() | st.floats(0, 1),
    )
    def update(
        self,
        name: str,
        data: st.DataObject,
        scope: Scope,
        text: bool,
        kind: MemoryType | None,
        importance: float | None,
    ) -> None:
        new = data.draw(writes(scope))
        made = MemoryChange(at=new.record.updated_at, type=kind, importance=importance)
        if text:
            made = change(new, type=kind, importance=importance)
        result = self.run(self.store.update(scope, name, made))
        old = self.held(scope).get(name)
        if old is None:
            assert result is None
            return
        record = replace(
            old.record,
            content=new.record.content if text else old.record.content,
            type=old.record.type if kind is None else kind,
            importance=old.record.importance if importance is None else importance,
            updated_at=max(old.record.updated_at, new.record.updated_at),
        )
        assert result == record
        self.model[scope.user_id][name] = (
            MemoryWrite(record, new.document, new.vectors) if text else replace(old, record=record)
        )

    @rule(name=consumes(seen), scope=scopes)
    def forget(self, name: str, scope: Scope) -> None:
        there = name in self.held(scope)
        assert self.run(self.store.forget(scope, [name])) == int(there)
        if there:
            del self.model[scope.user_id][name]

    @rule(scope=scopes)
    def forget_scope(self, scope: Scope) -> None:
        gone = self.held(scope)
        assert self.run(self.store.forget_scope(scope)) == len(gone)
        for name in gone:
            del self.model[scope.user_id][name]

    @rule(name=seen, scope=scopes, times=st.integers(1, 3))
    def touch(self, name: str, scope: Scope, times: int) -> None:
        before = self.epoch(scope.user_id)
        self.run(self.store.touch(scope, [name] * times, START))
        assert self.epoch(scope.user_id) == before
        old = self.held(scope).get(name)
        if old is not None:
            record = replace(old.record, access_count=old.record.access_count + times, accessed_at=START)
            self.model[scope.user_id][name] = replace(old, record=record)

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self._new_store()

    @rule(scope=scopes, seed=st.integers(100, 120), limit=st.integers(1, 8))
    def search_dense(self, scope: Scope, seed: int, limit: int) -> None:
        vector = unit_vectors(seed)[0]
        result = self.run(self.store.candidates(query(scope, seed, dense_limit=limit)))
        held = self.held(scope)
        assert {candidate.record.id for candidate in result.candidates} <= set(held)
        expected = sorted((best_cosine(vector, write) for write in held.values()), reverse=True)[:limit]
        np.testing.assert_allclose(sorted((c.cosine for c in result.candidates), reverse=True), expected, atol=1e-5)
        for candidate in result.candidates:
            write = held[candidate.record.id]
            assert abs(candidate.cosine - best_cosine(vector, write)) < 1e-5
            assert candidate.document == write.document
            assert candidate.record.scope == write.record.scope

    @rule(scope=scopes, wanted=st.sets(st.sampled_from(STEMS), min_size=1))
    def search_lexical(self, scope: Scope, wanted: set[str]) -> None:
        result = self.run(self.store.candidates(query(scope, None, stems=tuple(wanted))))
        assert {candidate.record.id for candidate in result.candidates} == {
            name for name, write in self.held(scope).items() if wanted & set(write.document.stems)
        }

    @invariant()
    def statistics_are_exact(self) -> None:
        for user, held in self.model.items():
            found = self.run(self.store.statistics(Scope(user), STEMS))
            counts = Counter(stem for write in held.values() for stem in write.document.stems)
            assert found.documents == len(held)
            assert found.length_sum == sum(write.document.length for write in held.values())
            assert dict(found.frequency) == dict(counts)
            assert (found.epoch == "") == (not held)

    @invariant()
    def listings_are_complete(self) -> None:
        for user in USERS:
            for project in PROJECTS:
                scope = Scope(user, project)
                held = self.held(scope)
                page = self.run(self.store.list(scope, limit=100))
                assert {record.id: record for record in page.records} == {
                    name: write.record for name, write in held.items()
                }
                assert page.total == len(held) == self.run(self.store.count(scope))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            shutil.rmtree(self.folder)


class UncachedMachine(StoreMachine):
    """The same without snapshots: everything comes from the database."""

    options = {"cache_bytes": 0}  # noqa: RUF012 - never changed


class PromotedMachine(StoreMachine):
    """The same with a graph for every user."""

    options = {"promote_at": 0}  # noqa: RUF012 - never changed


_SETTINGS = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

TestStore = StoreMachine.TestCase
TestStore.settings = _SETTINGS
TestUncachedStore = UncachedMachine.TestCase
TestUncachedStore.settings = _SETTINGS
TestPromotedStore = PromotedMachine.TestCase
TestPromotedStore.settings = _SETTINGS


class LongMachine(StoreMachine):
    """Many more and longer sequences."""


class LongUncachedMachine(UncachedMachine):
    """The same."""


class LongPromotedMachine(PromotedMachine):
    """The same."""


_LONG = settings(_SETTINGS, max_examples=60, stateful_step_count=80)

TestStoreForLong = pytest.mark.full(LongMachine.TestCase)
TestStoreForLong.settings = _LONG
TestUncachedStoreForLong = pytest.mark.full(LongUncachedMachine.TestCase)
TestUncachedStoreForLong.settings = _LONG
TestPromotedStoreForLong = pytest.mark.full(LongPromotedMachine.TestCase)
TestPromotedStoreForLong.settings = _LONG
