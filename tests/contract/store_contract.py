"""What every memory store does. A backend's suite inherits this and gives the fixture `store`."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from router_memory.errors import BackendUnavailable, InvalidRequest
from router_memory.types import (
    CandidateQuery,
    CandidateSet,
    CheckStatus,
    Document,
    MemoryChange,
    MemoryType,
    MemoryWrite,
    Scope,
    WriteStatus,
)
from tests.contract.samples import DIMENSION, START, best_cosine, change, ids, memories, memory, query, unit_vectors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from router_memory.protocols import MemoryStore

ALICE = Scope("alice")
BOB = Scope("bob")
HOME, WORK = Scope("alice", "home"), Scope("alice", "work")

STRANGE_IDS = [
    "a,b",
    "a|b",
    "it's",
    'say "hi"',
    "new\nline",
    "tab\tbed",
    "*",
    "a*",
    "%",
    "_",
    "{x}",
    "@user:{a}",
    "ALICE",
    "Alice",
    " alice",
    "alice ",
    "🦊",
    "é",
    "e\u0301",
    "back\\slash",
    "-",
    "x" * 10_000,
]


def found(result: CandidateSet) -> set[str]:
    """The ids of the candidates."""
    return {candidate.record.id for candidate in result.candidates}


class StoreContract:
    """Inherit it, and override `store`."""

    @pytest.fixture
    def store(self) -> AsyncIterator[MemoryStore]:
        """An open, empty store of `DIMENSION` components, closed after the test."""
        pytest.fail("a suite gives its own store")

    # -- writing

    async def test_a_stored_memory_is_read_back_as_it_was(self, store: MemoryStore) -> None:
        """Every field of a record survives the store, times to the microsecond."""
        write = memory(
            HOME,
            1,
            content="Zoë said:\n“it's 5 µm”",
            type=MemoryType.EPISODIC,
            role="assistant",
            speaker="Zoë",
            conversation_id="c,1",
            position=3,
            part=2,
            importance=0.25,
            access_count=4,
            accessed_at=START,
        )
        assert await store.add(HOME, [write]) == [WriteStatus.STORED]
        assert await store.get(HOME, write.record.id) == write.record

    async def test_writing_again_changes_nothing(self, store: MemoryStore) -> None:
        """A replay is merged: record, statistics and epoch stay."""
        write = memory(ALICE, 1)
        await store.add(ALICE, [write])
        before = await store.statistics(ALICE, ["memory"])
        changed = replace(write, record=replace(write.record, content="other", importance=0.9))
        assert await store.add(ALICE, [changed]) == [WriteStatus.MERGED]
        assert await store.get(ALICE, write.record.id) == write.record
        assert await store.statistics(ALICE, ["memory"]) == before

    async def test_the_first_of_equal_ids_in_a_call_is_stored(self, store: MemoryStore) -> None:
        """Later ones are merged into it."""
        first, other = memory(ALICE, 1), memory(ALICE, 2)
        again = replace(first, record=replace(first.record, content="second"))
        assert await store.add(ALICE, [first, again, other]) == [
            WriteStatus.STORED,
            WriteStatus.MERGED,
            WriteStatus.STORED,
        ]
        kept = await store.get(ALICE, first.record.id)
        assert kept is not None
        assert kept.content == first.record.content
        assert await store.count(ALICE) == 2

    async def test_nothing_to_add_is_no_write(self, store: MemoryStore) -> None:
        """An empty call returns an empty list and makes no user."""
        assert await store.add(ALICE, []) == []
        assert (await store.statistics(ALICE, [])).epoch == ""

    @pytest.mark.parametrize("scope", [BOB, HOME, Scope("alice ")])
    async def test_a_record_of_another_scope_is_refused(self, store: MemoryStore, scope: Scope) -> None:
        """The whole call is refused and nothing of it is stored."""
        with pytest.raises(InvalidRequest):
            await store.add(ALICE, [memory(ALICE, 1), memory(scope, 2)])
        assert await store.count(ALICE) == 0
        assert await store.count(scope) == 0

    @pytest.mark.parametrize(
        "vectors",
        [
            np.zeros((0, DIMENSION), np.float32),
            np.zeros((1, DIMENSION), np.float32),
            unit_vectors(1)[0],
            unit_vectors(1).astype(np.float64),
            unit_vectors(1, dimension=DIMENSION + 1),
            np.full((1, DIMENSION), np.nan, np.float32),
            np.full((1, DIMENSION), np.inf, np.float32),
        ],
        ids=["no row", "zero", "one axis", "float64", "dimension", "NaN", "infinite"],
    )
    async def test_a_vector_of_the_wrong_form_is_refused(self, store: MemoryStore, vectors: Any) -> None:
        """Shape, dtype, finiteness and norm are checked before anything is stored."""
        with pytest.raises(InvalidRequest):
            await store.add(ALICE, [memory(ALICE, 1), memory(ALICE, 2, vectors=vectors)])
        assert await store.count(ALICE) == 0

    async def test_a_naive_time_is_refused(self, store: MemoryStore) -> None:
        """Times are aware, so that they mean the same everywhere."""
        with pytest.raises(InvalidRequest):
            await store.add(ALICE, [memory(ALICE, 1, created_at=datetime(2026, 1, 1))])  # noqa: DTZ001 - the point

    async def test_a_lone_surrogate_is_refused(self, store: MemoryStore) -> None:
        """Text that is not valid Unicode is an invalid request, not a crash."""
        with pytest.raises(InvalidRequest):
            await store.add(ALICE, [memory(ALICE, 1, content="\ud800")])

    # -- one memory

    async def test_there_is_no_memory_of_an_unknown_id(self, store: MemoryStore) -> None:
        """`get` gives None for a user without data and for one with other data."""
        assert await store.get(ALICE, "nothing") is None
        await store.add(ALICE, [memory(ALICE, 1)])
        assert await store.get(ALICE, "nothing") is None

    async def test_ids_that_differ_by_case_are_different_memories(self, store: MemoryStore) -> None:
        """Ids are compared exactly."""
        lower, upper = memory(ALICE, 1, id="abc"), memory(ALICE, 2, id="ABC")
        assert await store.add(ALICE, [lower, upper]) == [WriteStatus.STORED] * 2
        assert await store.forget(ALICE, ["abc"]) == 1
        assert await store.get(ALICE, "ABC") == upper.record

    async def test_contains_names_what_is_stored_in_the_scope(self, store: MemoryStore) -> None:
        """Ids of other scopes and unknown ones are left away."""
        home, work, other = memory(HOME, 1), memory(WORK, 2), memory(BOB, 3)
        for scope, write in ((HOME, home), (WORK, work), (BOB, other)):
            await store.add(scope, [write])
        asked = [*ids([home, work, other]), "unknown"]
        assert await store.contains(HOME, asked) == frozenset(ids([home]))
        assert await store.contains(ALICE, asked) == frozenset(ids([home, work]))
        assert await store.contains(Scope("nobody"), asked) == frozenset()

    async def test_an_update_sets_what_it_names_and_keeps_the_rest(self, store: MemoryStore) -> None:
        """Content, type, importance and time of update change; identity, origin and counts stay."""
        old = memory(ALICE, 1, role="user", speaker="Al", conversation_id="c", position=4)
        await store.add(ALICE, [old])
        await store.touch(ALICE, [old.record.id], START)
        later = START + timedelta(days=9)
        new = change(memory(ALICE, 2, content="new", updated_at=later), type=MemoryType.PROCEDURAL, importance=1.0)
        updated = await store.update(ALICE, old.record.id, new)
        expected = replace(
            old.record,
            content="new",
            type=MemoryType.PROCEDURAL,
            importance=1.0,
            updated_at=later,
            access_count=1,
            accessed_at=START,
        )
        assert updated == expected
        assert await store.get(ALICE, old.record.id) == expected

    async def test_fields_are_set_one_by_one(self, store: MemoryStore) -> None:
        """Without content the text, what it is found by and the statistics stay; the epoch does not."""
        old = memory(ALICE, 1, stems={"old": 2}, rows=2, type=MemoryType.EPISODIC)
        await store.add(ALICE, [old, memory(ALICE, 5)])
        await store.candidates(query(ALICE))
        before = await store.statistics(ALICE, ["old"])
        later = old.record.updated_at + timedelta(days=1)
        await store.update(ALICE, old.record.id, MemoryChange(at=later, importance=0.9))
        await store.update(ALICE, old.record.id, MemoryChange(at=later, type=MemoryType.PROCEDURAL))
        expected = replace(old.record, importance=0.9, type=MemoryType.PROCEDURAL, updated_at=later)
        assert await store.get(ALICE, old.record.id) == expected
        after = await store.statistics(ALICE, ["old"])
        assert replace(after, epoch=before.epoch) == before
        assert after.epoch != before.epoch
        result = await store.candidates(
            query(ALICE, 1, stems=("old",), types=frozenset({MemoryType.PROCEDURAL}), dense_limit=1)
        )
        (candidate,) = result.candidates
        assert (candidate.record, candidate.document, candidate.parts) == (expected, old.document, 2)
        assert candidate.cosine == pytest.approx(best_cosine(unit_vectors(1)[0], old), abs=1e-5)
        assert await store.count(ALICE, types=frozenset({MemoryType.EPISODIC})) == 0

    async def test_concurrent_updates_of_different_fields_all_hold(self, store: MemoryStore) -> None:
        """None of them writes back what another one has changed."""
        old = memory(ALICE, 1, stems={"old": 1})
        await store.add(ALICE, [old])
        new = memory(ALICE, 2, stems={"new": 1})
        at = START + timedelta(days=1)
        await asyncio.gather(
            store.update(ALICE, old.record.id, change(new)),
            store.update(ALICE, old.record.id, MemoryChange(at=at, importance=0.9)),
            store.update(ALICE, old.record.id, MemoryChange(at=START, type=MemoryType.PROCEDURAL)),
            store.touch(ALICE, [old.record.id], START),
        )
        record = await store.get(ALICE, old.record.id)
        assert record is not None
        assert (record.content, record.importance, record.type) == (new.record.content, 0.9, MemoryType.PROCEDURAL)
        assert (record.updated_at, record.access_count) == (at, 1)
        assert dict((await store.statistics(ALICE, ["old", "new"])).frequency) == {"new": 1}

    async def test_the_time_of_update_never_goes_back(self, store: MemoryStore) -> None:
        """A change with an earlier time than the memory's is made and keeps the later time."""
        write = memory(ALICE, 1)
        await store.add(ALICE, [write])
        early = MemoryChange(at=START - timedelta(days=1), importance=0.1)
        assert await store.update(ALICE, write.record.id, early) == replace(write.record, importance=0.1)

    @pytest.mark.parametrize(
        "fields",
        [
            {"content": "text"},
            {"document": Document({}, 0)},
            {"vectors": unit_vectors(1)},
            {"content": "text", "document": Document({}, 0)},
            {"content": "\ud800", "document": Document({}, 0), "vectors": unit_vectors(1)},
            {"content": "text", "document": Document({}, -1), "vectors": unit_vectors(1)},
            {"content": "text", "document": Document({}, 0), "vectors": unit_vectors(1)[0]},
            {"content": "text", "document": Document({}, 0), "vectors": unit_vectors(1, dimension=DIMENSION + 1)},
            {"importance": math.nan},
            {"type": "semantic"},
            {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point
        ],
        ids=[
            "content alone",
            "document alone",
            "vectors alone",
            "no vectors",
            "surrogate",
            "length",
            "one axis",
            "dimension",
            "NaN",
            "a string for a type",
            "naive time",
        ],
    )
    async def test_a_malformed_change_is_refused(self, store: MemoryStore, fields: dict[str, Any]) -> None:
        """It is an invalid request and changes nothing, epoch included."""
        write = memory(ALICE, 1)
        await store.add(ALICE, [write])
        epoch = (await store.statistics(ALICE, [])).epoch
        with pytest.raises(InvalidRequest):
            await store.update(ALICE, write.record.id, MemoryChange(**({"at": START} | fields)))
        assert await store.get(ALICE, write.record.id) == write.record
        assert (await store.statistics(ALICE, [])).epoch == epoch

    async def test_update_moves_vector_and_stems(self, store: MemoryStore) -> None:
        """The memory is found by what it says now and no longer by what it said."""
        old = memory(ALICE, 1, stems={"old": 1, "both": 1}, rows=3)
        await store.add(ALICE, [old, memory(ALICE, 5, stems={"x": 1})])
        await store.candidates(query(ALICE))
        new = memory(ALICE, 2, stems={"new": 4, "both": 1}, rows=2)
        await store.update(ALICE, old.record.id, change(new))
        statistics = await store.statistics(ALICE, ["old", "new", "both", "x"])
        assert dict(statistics.frequency) == {"new": 1, "both": 1, "x": 1}
        assert statistics.length_sum == 6
        result = await store.candidates(query(ALICE, 7, stems=("new",), dense_limit=1))
        (candidate,) = [c for c in result.candidates if c.record.id == old.record.id]
        assert candidate.cosine == pytest.approx(best_cosine(unit_vectors(7)[0], new), abs=1e-5)
        assert candidate.document == new.document

    async def test_update_never_creates(self, store: MemoryStore) -> None:
        """An unknown id, another project's and another user's all give None and change nothing."""
        home = memory(HOME, 1)
        await store.add(HOME, [home])
        before = await store.statistics(ALICE, [])
        new = change(memory(ALICE, 2), importance=1.0)
        assert await store.update(ALICE, "unknown", new) is None
        assert await store.update(WORK, home.record.id, new) is None
        assert await store.update(BOB, home.record.id, new) is None
        assert await store.statistics(ALICE, []) == before
        assert await store.count(BOB) == 0
        assert await store.get(ALICE, home.record.id) == home.record

    async def test_touch_counts_accesses_and_keeps_the_epoch(self, store: MemoryStore) -> None:
        """An id counts as often as it stands in a call; unknown ones do not disturb the others."""
        write = memory(ALICE, 1)
        await store.add(ALICE, [write])
        epoch = (await store.statistics(ALICE, [])).epoch
        await store.touch(ALICE, [write.record.id], START)
        five = [write.record.id] * 5
        await store.touch(ALICE, [*five, "unknown", *five], START + timedelta(hours=1))
        record = await store.get(ALICE, write.record.id)
        assert record == replace(write.record, access_count=11, accessed_at=START + timedelta(hours=1))
        await store.touch(ALICE, [write.record.id], START)  # a count that was written late
        assert await store.get(ALICE, write.record.id) == replace(record, access_count=12)
        assert (await store.statistics(ALICE, [])).epoch == epoch

    async def test_touch_never_brings_a_memory_back(self, store: MemoryStore) -> None:
        """A late touch of a forgotten memory leaves no ghost (reference defect 9)."""
        write = memory(ALICE, 1)
        await store.add(ALICE, [write, memory(ALICE, 2)])
        await store.forget(ALICE, ids([write]))
        await store.touch(ALICE, ids([write]), START)
        await store.touch(BOB, ids([write]), START)
        assert await store.get(ALICE, write.record.id) is None
        assert await store.count(ALICE) == 1
        assert await store.count(BOB) == 0

    async def test_forget_deletes_all_that_belongs_to_a_memory(self, store: MemoryStore) -> None:
        """Record, statistics and vectors go together; the rest stays."""
        gone, kept = memory(ALICE, 1, stems={"gone": 1, "both": 2}), memory(ALICE, 2, stems={"both": 1})
        await store.add(ALICE, [gone, kept])
        assert await store.forget(ALICE, [gone.record.id, gone.record.id, "unknown"]) == 1
        statistics = await store.statistics(ALICE, ["gone", "both"])
        assert (statistics.documents, statistics.length_sum) == (1, 1)
        assert dict(statistics.frequency) == {"both": 1}
        assert found(await store.candidates(query(ALICE, 1, stems=("gone", "both")))) == set(ids([kept]))

    async def test_forgetting_nothing_keeps_the_epoch(self, store: MemoryStore) -> None:
        """Unknown ids and ids of another project are no write."""
        home = memory(HOME, 1)
        await store.add(HOME, [home])
        epoch = (await store.statistics(ALICE, [])).epoch
        assert await store.forget(ALICE, ["unknown"]) == 0
        assert await store.forget(WORK, ids([home])) == 0
        assert await store.forget(BOB, ids([home])) == 0
        assert (await store.statistics(ALICE, [])).epoch == epoch

    # -- statistics and epoch

    async def test_a_user_without_data_has_no_epoch(self, store: MemoryStore) -> None:
        """Statistics of an unknown user are zero, and so they are again once all is forgotten."""
        empty = await store.statistics(ALICE, ["a"])
        assert (empty.epoch, empty.documents, empty.length_sum, dict(empty.frequency)) == ("", 0, 0, {})
        write = memory(ALICE, 1)
        await store.add(ALICE, [write])
        await store.forget(ALICE, ids([write]))
        assert await store.statistics(ALICE, ["a"]) == empty

    async def test_every_write_makes_another_epoch(self, store: MemoryStore) -> None:
        """Epochs never repeat, not even when the data do."""
        epochs = []
        for _ in range(3):
            await store.add(ALICE, [memory(ALICE, 1), memory(ALICE, 2)])
            epochs.append((await store.statistics(ALICE, [])).epoch)
            await store.update(ALICE, memory(ALICE, 1).record.id, change(memory(ALICE, 1)))
            epochs.append((await store.statistics(ALICE, [])).epoch)
            await store.forget(ALICE, ids([memory(ALICE, 1)]))
            epochs.append((await store.statistics(ALICE, [])).epoch)
        assert len(set(epochs)) == len(epochs)
        assert "" not in epochs

    async def test_another_users_write_keeps_the_epoch(self, store: MemoryStore) -> None:
        """An epoch belongs to one user."""
        await store.add(ALICE, [memory(ALICE, 1)])
        epoch = (await store.statistics(ALICE, [])).epoch
        await store.add(BOB, [memory(BOB, 1)])
        assert (await store.statistics(ALICE, [])).epoch == epoch

    async def test_statistics_cover_all_projects_of_the_user_and_nobody_else(self, store: MemoryStore) -> None:
        """They are the user's, whichever project the scope names."""
        await store.add(HOME, [memory(HOME, 1, stems={"tea": 1, "pot": 2})])
        await store.add(WORK, [memory(WORK, 2, stems={"tea": 3})])
        await store.add(BOB, [memory(BOB, 3, stems={"tea": 1})])
        for scope in (ALICE, HOME, WORK):
            statistics = await store.statistics(scope, ["tea", "pot", "cup"])
            assert (statistics.documents, statistics.length_sum) == (2, 6)
            assert dict(statistics.frequency) == {"tea": 2, "pot": 1}

    async def test_the_epoch_alone_is_that_of_the_statistics(self, store: MemoryStore) -> None:
        """And that of candidates, whichever project the scope names: before any data, with some, and after them."""
        home, work = memory(HOME, 1), memory(WORK, 2)

        async def agreed() -> str:
            epochs = {await store.epoch(scope) for scope in (ALICE, HOME, WORK, Scope("alice", "unknown"))}
            epochs.add((await store.statistics(ALICE, [])).epoch)
            epochs.add((await store.candidates(query(ALICE))).epoch)
            (epoch,) = epochs
            return epoch

        assert await agreed() == ""
        await store.add(HOME, [home])
        await store.add(WORK, [work])
        await store.add(BOB, [memory(BOB, 3)])
        assert await agreed() not in {"", await store.epoch(BOB)}
        await store.forget(HOME, ids([home]))
        assert await agreed() != ""
        assert await store.epoch(Scope("nobody")) == await store.epoch(Scope("alice ")) == ""
        await store.forget_scope(ALICE)
        assert await agreed() == ""
        assert await store.epoch(BOB) != ""

    async def test_each_write_shows_in_the_epoch_alone(self, store: MemoryStore) -> None:
        """As soon as it is acknowledged; what changes nothing, accesses and other users do not show."""
        first, second = memory(ALICE, 1), memory(ALICE, 2, type=MemoryType.EPISODIC)
        late = START + timedelta(days=1)
        writes: list[Awaitable[object]] = [
            store.add(ALICE, [first, second]),
            store.add(ALICE, [second, memory(ALICE, 3)]),
            store.add(HOME, [memory(HOME, 4)]),
            store.update(ALICE, first.record.id, change(memory(ALICE, 5))),
            store.update(ALICE, first.record.id, MemoryChange(at=late, importance=0.9)),
            store.forget(ALICE, ids([first])),
            store.forget_scope(ALICE, types=frozenset({MemoryType.EPISODIC})),
            store.forget_scope(HOME),
        ]
        seen = [await store.epoch(ALICE)]
        for write in writes:
            await write
            seen.append(await store.epoch(ALICE))
        assert len(set(seen)) == len(seen) == 1 + len(writes)
        assert seen.index("") == 0
        for nothing in (
            store.add(ALICE, [memory(ALICE, 3)]),
            store.touch(ALICE, ids([memory(ALICE, 3)]), START),
            store.update(ALICE, "unknown", MemoryChange(at=late, importance=0.1)),
            store.forget(ALICE, ids([first])),
            store.forget_scope(HOME),
            store.add(BOB, [memory(BOB, 1), memory(BOB, 3)]),
            store.forget(BOB, ids([memory(BOB, 3)])),
            store.forget_scope(BOB),
        ):
            await nothing
            assert await store.epoch(ALICE) == seen[-1]

    async def test_the_epoch_alone_never_lags_behind_candidates(self, store: MemoryStore) -> None:
        """While others write: one read after a search is of the search's state or of a later one."""
        order = [""]

        async def write() -> None:
            for seed in range(20):
                await store.add(ALICE, [memory(ALICE, seed)])
                order.append(await store.epoch(ALICE))

        async def read() -> list[tuple[str, str]]:
            return [((await store.candidates(query(ALICE))).epoch, await store.epoch(ALICE)) for _ in range(20)]

        _, one, two = await asyncio.gather(write(), read(), read())
        assert len(set(order)) == 21
        place = {epoch: number for number, epoch in enumerate(order)}
        assert all(place[later] >= place.get(earlier, 0) for earlier, later in one + two)

    # -- candidates

    async def test_candidates_come_with_the_users_epoch(self, store: MemoryStore) -> None:
        """It is the one `statistics` gives."""
        assert await store.candidates(query(ALICE)) == CandidateSet("", ())
        await store.add(ALICE, memories(ALICE, 3))
        assert (await store.candidates(query(ALICE))).epoch == (await store.statistics(ALICE, [])).epoch

    async def test_the_dense_channel_gives_the_nearest(self, store: MemoryStore) -> None:
        """Exactly the `dense_limit` memories of the greatest cosine, each with it."""
        writes = memories(ALICE, 60)
        await store.add(ALICE, writes)
        vector = unit_vectors(1000)[0]
        result = await store.candidates(query(ALICE, 1000, dense_limit=7))
        cosines = {write.record.id: best_cosine(vector, write) for write in writes}
        assert found(result) == set(sorted(cosines, key=lambda name: -cosines[name])[:7])
        for candidate in result.candidates:
            assert candidate.cosine == pytest.approx(cosines[candidate.record.id], abs=1e-5)

    async def test_a_candidate_brings_record_and_stems(self, store: MemoryStore) -> None:
        """What was stored comes back with it."""
        write = memory(HOME, 1, stems={"münchen": 2, "🦊": 1})
        await store.add(HOME, [write])
        (candidate,) = (await store.candidates(query(ALICE))).candidates
        assert candidate.record == write.record
        assert candidate.document == write.document

    async def test_the_lexical_channel_finds_what_is_far_away(self, store: MemoryStore) -> None:
        """A memory with a stem of the query is a candidate with its true cosine, however low."""
        vector = unit_vectors(5)
        far = memory(ALICE, 99, stems={"rare": 1}, vectors=-vector)
        await store.add(ALICE, [far, *memories(ALICE, 20)])
        result = await store.candidates(query(ALICE, 5, stems=("rare", "absent"), dense_limit=3))
        (hit,) = [candidate for candidate in result.candidates if candidate.record.id == far.record.id]
        assert hit.cosine == pytest.approx(-1.0, abs=1e-5)
        assert len(result.candidates) == 4

    async def test_the_lexical_channel_keeps_the_nearest_past_its_limit(self, store: MemoryStore) -> None:
        """With more matches than `lexical_limit` the far ones are left out; what is dense as well counts."""
        writes = memories(ALICE, 30)
        await store.add(ALICE, writes)
        vector = unit_vectors(77)[0]
        result = await store.candidates(query(ALICE, 77, stems=("memory",), dense_limit=1, lexical_limit=5))
        nearest = sorted(writes, key=lambda write: -best_cosine(vector, write))[:5]
        assert found(result) == set(ids(nearest))

    async def test_without_a_vector_only_stems_count(self, store: MemoryStore) -> None:
        """Cosines are NaN then, and the limit still holds."""
        writes = [memory(ALICE, seed, stems={"even" if seed % 2 == 0 else "odd": 1}) for seed in range(20)]
        await store.add(ALICE, writes)
        result = await store.candidates(query(ALICE, None, stems=("even",)))
        assert found(result) == set(ids(writes[::2]))
        assert all(math.isnan(candidate.cosine) for candidate in result.candidates)
        assert len((await store.candidates(query(ALICE, None, stems=("even",), lexical_limit=4))).candidates) == 4

    async def test_without_vector_and_stems_there_are_no_candidates(self, store: MemoryStore) -> None:
        """Both channels are left out."""
        await store.add(ALICE, memories(ALICE, 3))
        assert (await store.candidates(query(ALICE, None))).candidates == ()

    async def test_a_memory_found_twice_is_one_candidate(self, store: MemoryStore) -> None:
        """The channels are united."""
        await store.add(ALICE, memories(ALICE, 5))
        result = await store.candidates(query(ALICE, 1, stems=("memory", "n1", "n2")))
        assert len(result.candidates) == len(found(result)) == 5

    async def test_a_memory_is_as_near_as_its_nearest_vector(self, store: MemoryStore) -> None:
        """Of several rows the greatest cosine counts, and the memory is found once."""
        vector = unit_vectors(3)
        long = memory(ALICE, 50, vectors=np.concatenate([unit_vectors(8), -vector, vector, unit_vectors(9)]))
        await store.add(ALICE, [*memories(ALICE, 3, first=10), long, memory(ALICE, 20, rows=2)])
        result = await store.candidates(query(ALICE, 3, dense_limit=1))
        assert found(result) == set(ids([long]))
        assert result.candidates[0].cosine == pytest.approx(1.0, abs=1e-5)
        assert result.candidates[0].parts == 4

    async def test_project_and_types_filter_both_channels(self, store: MemoryStore) -> None:
        """Only memories of the scope's project and of the types asked for are candidates."""
        writes = [
            memory(scope, index, type=kind, stems={"tea": 1})
            for index, (scope, kind) in enumerate((s, t) for s in (HOME, WORK, ALICE) for t in MemoryType)
        ]
        for write in writes:
            await store.add(write.record.scope, [write])

        async def names(scope: Scope, *types: MemoryType) -> set[str]:
            return found(await store.candidates(query(scope, 1, stems=("tea",), types=frozenset(types))))

        assert await names(ALICE) == set(ids(writes))
        assert await names(HOME) == set(ids(writes[:3]))
        assert await names(HOME, MemoryType.SEMANTIC) == set(ids(writes[:1]))
        assert await names(ALICE, MemoryType.SEMANTIC, MemoryType.EPISODIC) == {
            write.record.id for write in writes if write.record.type is not MemoryType.PROCEDURAL
        }
        assert await names(Scope("alice", "garden")) == set()

    async def test_a_clock_that_jumps_back_loses_nothing(self, store: MemoryStore) -> None:
        """A later write with an earlier time is found, takes its place in order, and changes the epoch."""
        now = memory(ALICE, 10, conversation_id="c")
        await store.add(ALICE, [now])
        before = await store.candidates(query(ALICE))
        past = memory(ALICE, 1, conversation_id="c", created_at=START - timedelta(days=365))
        await store.add(ALICE, [past])
        result = await store.candidates(query(ALICE))
        assert found(result) == set(ids([now, past]))
        assert result.epoch != before.epoch
        assert [record.id for record in (await store.list(ALICE)).records] == ids([now, past])

    async def test_a_search_sees_every_write_before_it(self, store: MemoryStore) -> None:
        """Adding, updating and forgetting show in the very next search."""
        expected: set[str] = set()
        for seed in range(12):
            write = memory(ALICE, seed, conversation_id="c", rows=1 + seed % 3)
            await store.add(ALICE, [write])
            expected.add(write.record.id)
            assert found(await store.candidates(query(ALICE))) == expected
            if seed % 4 == 3:
                await store.forget(ALICE, [write.record.id])
                expected.discard(write.record.id)
                assert found(await store.candidates(query(ALICE))) == expected

    @pytest.mark.parametrize(
        "wrong",
        [
            {"vector": unit_vectors(1)},
            {"vector": unit_vectors(1, dimension=DIMENSION - 1)[0]},
            {"vector": unit_vectors(1)[0].astype(np.float64)},
            {"vector": np.full(DIMENSION, np.nan, np.float32)},
            {"vector": np.full(DIMENSION, 1e30, np.float32)},
            {"dense_limit": 0},
            {"lexical_limit": -1},
        ],
        ids=["two axes", "dimension", "float64", "NaN", "overflow", "dense limit", "lexical limit"],
    )
    async def test_a_malformed_query_is_refused(self, store: MemoryStore, wrong: dict[str, Any]) -> None:
        """It is an invalid request, whether the user has data or not."""
        fields: dict[str, Any] = {"scope": ALICE, "vector": unit_vectors(1)[0]} | wrong
        with pytest.raises(InvalidRequest):
            await store.candidates(CandidateQuery(**fields))

    # -- tenancy

    @pytest.mark.parametrize("name", STRANGE_IDS, ids=lambda name: ascii(name[:12]))
    async def test_any_string_is_a_user_of_its_own(self, store: MemoryStore, name: str) -> None:
        """Separators, wildcards, case, white space and emoji are part of the id and match nobody else."""
        mine, neighbours = Scope(name), [Scope("a"), Scope("alice"), Scope("b"), Scope(name + "x")]
        for scope in neighbours:
            await store.add(scope, [memory(scope, 1, stems={"tea": 1})])
        write = memory(mine, 2, stems={"tea": 1})
        await store.add(mine, [write])
        assert found(await store.candidates(query(mine, 1, stems=("tea",)))) == set(ids([write]))
        assert await store.count(mine) == 1
        assert await store.forget_scope(mine) == 1
        assert [await store.count(scope) for scope in neighbours] == [1, 1, 1, 1]

    async def test_an_equal_id_under_two_users_is_two_memories(self, store: MemoryStore) -> None:
        """No call of one user touches the other's."""
        mine, theirs = memory(ALICE, 1, id="same"), memory(BOB, 2, id="same")
        await store.add(ALICE, [mine])
        assert await store.add(BOB, [theirs]) == [WriteStatus.STORED]
        await store.touch(BOB, ["same"], START)
        await store.forget(BOB, ["same"])
        assert await store.get(ALICE, "same") == mine.record

    async def test_a_project_scope_covers_its_project_alone(self, store: MemoryStore) -> None:
        """Reads, lists, counts and deletions stay inside; a scope without a project covers all."""
        home, work, none = memory(HOME, 1), memory(WORK, 2), memory(ALICE, 3)
        for write in (home, work, none):
            await store.add(write.record.scope, [write])
        assert await store.get(HOME, work.record.id) is None
        assert await store.get(HOME, none.record.id) is None
        assert [await store.count(scope) for scope in (HOME, WORK, ALICE)] == [1, 1, 3]
        assert [record.id for record in (await store.list(HOME)).records] == [home.record.id]
        assert await store.forget_scope(HOME) == 1
        assert await store.count(ALICE) == 2

    # -- lists and counts

    async def test_a_list_is_newest_first_and_complete_over_its_pages(self, store: MemoryStore) -> None:
        """By creation, then position, then id; no memory twice, none left out; the total on every page."""
        writes = [
            memory(ALICE, seed, created_at=START + timedelta(seconds=seed // 6), position=seed // 2 % 3)
            for seed in range(25)
        ]
        await store.add(ALICE, writes)
        key = {w.record.id: (w.record.created_at, w.record.position, w.record.id) for w in writes}
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.list(ALICE, limit=4, cursor=cursor)
            assert page.total == 25
            assert len(page.records) <= 4
            seen += [record.id for record in page.records]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == sorted(key, key=lambda name: key[name], reverse=True)

    async def test_a_page_survives_deletions_between_calls(self, store: MemoryStore) -> None:
        """A cursor stands for a place, not for a row."""
        writes = memories(ALICE, 6)
        await store.add(ALICE, writes)
        first = await store.list(ALICE, limit=3)
        await store.forget(ALICE, [first.records[-1].id])
        second = await store.list(ALICE, limit=3, cursor=first.cursor)
        assert [record.id for record in second.records] == ids(writes[2::-1])
        assert second.cursor is None

    async def test_a_list_filters_by_type(self, store: MemoryStore) -> None:
        """Records and total are of the types asked for."""
        writes = [memory(ALICE, seed, type=list(MemoryType)[seed % 3]) for seed in range(9)]
        await store.add(ALICE, writes)
        types = frozenset({MemoryType.SEMANTIC, MemoryType.PROCEDURAL})
        page = await store.list(ALICE, types=types, limit=5)
        assert {record.type for record in page.records} == types
        assert (len(page.records), page.total) == (5, 6)
        assert await store.count(ALICE, types=types) == 6

    async def test_a_list_of_nothing_is_an_empty_page(self, store: MemoryStore) -> None:
        """There is no cursor either."""
        page = await store.list(ALICE)
        assert (page.records, page.cursor, page.total) == ((), None, 0)

    @pytest.mark.parametrize("cursor", ["", "garbage", "WyJ4Il0", "é", "W10=", "bnVsbA", "A" * 5000])
    async def test_a_garbage_cursor_is_refused(self, store: MemoryStore, cursor: str) -> None:
        """It is an invalid request."""
        await store.add(ALICE, [memory(ALICE, 1)])
        with pytest.raises(InvalidRequest):
            await store.list(ALICE, cursor=cursor)

    @pytest.mark.parametrize("scope", [BOB, HOME])
    async def test_a_cursor_of_another_scope_is_refused(self, store: MemoryStore, scope: Scope) -> None:
        """Cursors are bound to the scope they were given to."""
        await store.add(ALICE, memories(ALICE, 3))
        cursor = (await store.list(ALICE, limit=1)).cursor
        with pytest.raises(InvalidRequest):
            await store.list(scope, cursor=cursor)

    @pytest.mark.parametrize("limit", [0, -1, 10**30, True])
    async def test_a_limit_out_of_range_is_refused(self, store: MemoryStore, limit: int) -> None:
        """A page holds at least one record."""
        with pytest.raises(InvalidRequest):
            await store.list(ALICE, limit=limit)

    # -- deletion of a scope

    async def test_a_whole_user_is_forgotten(self, store: MemoryStore) -> None:
        """More memories than one batch; nothing is left of them."""
        writes = memories(ALICE, 1_050)
        await store.add(ALICE, writes)
        await store.add(BOB, memories(BOB, 2))
        assert await store.forget_scope(ALICE) == 1_050
        assert await store.forget_scope(ALICE) == 0
        assert await store.count(ALICE) == 0
        assert (await store.statistics(ALICE, ["memory"])).documents == 0
        assert (await store.candidates(query(ALICE, 1, stems=("memory",)))).candidates == ()
        assert await store.count(BOB) == 2

    async def test_old_memories_of_some_types_are_forgotten(self, store: MemoryStore) -> None:
        """Both conditions must hold; `older_than` itself stays."""
        writes = [memory(ALICE, seed, type=list(MemoryType)[seed % 2]) for seed in range(10)]
        await store.add(ALICE, writes)
        edge = writes[6].record.created_at.astimezone(UTC)
        assert await store.forget_scope(ALICE, types=frozenset({MemoryType.SEMANTIC}), older_than=edge) == 3
        left = {record.id for record in (await store.list(ALICE)).records}
        assert left == set(ids(writes)) - set(ids([writes[0], writes[2], writes[4]]))

    # -- all users

    async def test_users_are_those_who_have_memories(self, store: MemoryStore) -> None:
        """Whatever their ids are; one whose memories were forgotten is none any more."""
        for user in STRANGE_IDS:
            scope = Scope(user, "p")
            await store.add(scope, [memory(scope, 1)])
        await store.forget_scope(Scope(STRANGE_IDS[0]))
        assert {user async for user in store.users()} == set(STRANGE_IDS[1:])

    async def test_nobody_has_memories_in_an_empty_store(self, store: MemoryStore) -> None:
        """There is nothing to give."""
        assert [user async for user in store.users()] == []

    async def test_users_are_given_while_others_write(self, store: MemoryStore) -> None:
        """More than one read brings; everybody who is there all the while is among them."""
        names = [f"user {number}" for number in range(1_100)]
        await asyncio.gather(*(store.add(Scope(name), [memory(Scope(name), 1)]) for name in names))
        given = []
        async for user in store.users():
            given.append(user)
            if len(given) % 100 == 0:
                new = Scope(f"new {len(given)}")
                await store.add(new, [memory(new, 1)])
                await store.forget_scope(new)
        assert set(names) <= set(given)

    # -- concurrency and life cycle

    async def test_concurrent_writes_and_searches_agree(self, store: MemoryStore) -> None:
        """Every search sees some state between two writes: as many candidates as documents of its epoch."""
        sizes: dict[str, int] = {"": 0}

        async def write(seed: int) -> None:
            await store.add(ALICE, [memory(ALICE, seed, conversation_id="c")])

        async def search() -> None:
            result = await store.candidates(query(ALICE, 3, stems=("memory",), dense_limit=200))
            assert sizes.setdefault(result.epoch, len(result.candidates)) == len(result.candidates)

        await asyncio.gather(*(job for seed in range(40) for job in (write(seed), search(), search())))
        assert await store.count(ALICE) == 40
        assert len(found(await store.candidates(query(ALICE, 3, dense_limit=200)))) == 40

    async def test_the_same_memory_written_at_once_is_stored_once(self, store: MemoryStore) -> None:
        """Exactly one of the writers is told STORED."""
        outcomes = await asyncio.gather(*(store.add(ALICE, [memory(ALICE, 1)]) for _ in range(8)))
        assert sorted(status for (status,) in outcomes) == [WriteStatus.MERGED] * 7 + [WriteStatus.STORED]
        assert (await store.statistics(ALICE, [])).documents == 1

    async def test_a_cancelled_write_leaves_all_of_it_or_nothing(self, store: MemoryStore) -> None:
        """Statistics and records agree afterwards, and the store works on (reference defect 8)."""
        tasks = [asyncio.ensure_future(store.add(ALICE, [memory(ALICE, seed)])) for seed in range(20)]
        await store.count(ALICE)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.add(ALICE, [memory(ALICE, 100)])
        statistics = await store.statistics(ALICE, ["memory"])
        assert statistics.documents == statistics.frequency["memory"] == await store.count(ALICE)

    async def test_stats_count_over_all_users(self, store: MemoryStore) -> None:
        """Totals, the embedder's fingerprint and the dimension."""
        await store.add(ALICE, memories(ALICE, 3))
        await store.add(BOB, memories(BOB, 2))
        stats = await store.stats()
        assert (stats.memories, stats.users, stats.dimension) == (5, 2, DIMENSION)
        assert stats.backend == store.name
        assert stats.bytes > 0

    async def test_an_examination_of_a_sound_store_finds_no_failure(self, store: MemoryStore) -> None:
        """Each finding has a name of its own, data that JSON can hold, and advice where there is something to do."""
        await store.add(ALICE, memories(ALICE, 3))
        findings = await store.examine(planned=1_000_000)
        names = [finding.name for finding in findings]
        assert len(set(names)) == len(names)
        assert "planned" in names
        assert [finding for finding in findings if finding.status is CheckStatus.FAIL] == []
        assert all(finding.advice for finding in findings if finding.status is CheckStatus.WARN)
        json.dumps([dict(finding.data) for finding in findings])
        with pytest.raises(InvalidRequest):
            await store.examine(planned=0)

    async def test_open_and_close_may_be_repeated(self, store: MemoryStore) -> None:
        """Both are idempotent."""
        await store.open()
        await store.add(ALICE, [memory(ALICE, 1)])
        await store.close()
        await store.close()

    async def test_a_closed_store_is_unavailable(self, store: MemoryStore) -> None:
        """Each call after `close` raises the typed error."""
        await store.close()
        write: MemoryWrite = memory(ALICE, 1)
        calls = (
            store.epoch(ALICE),
            store.statistics(ALICE, []),
            store.candidates(query(ALICE)),
            store.add(ALICE, [write]),
            store.get(ALICE, "x"),
            store.contains(ALICE, ["x"]),
            store.list(ALICE),
            store.update(ALICE, write.record.id, change(write)),
            store.forget(ALICE, ["x"]),
            store.forget_scope(ALICE),
            store.count(ALICE),
            store.touch(ALICE, ["x"], START),
            store.stats(),
        )
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, BackendUnavailable)
        with pytest.raises(BackendUnavailable):
            [user async for user in store.users()]
