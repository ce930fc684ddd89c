"""Level 1: its bounds, its time, and that nothing stays behind of what left."""

from __future__ import annotations

import gc
import random
import tracemalloc
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_memory.cache import LocalCache, Meters
from router_memory.cache.codec import decode, encode, weight
from router_memory.cache.keys import Key, key_of
from router_memory.cache.local import jittered
from router_memory.pipeline.shortlist import MOST_SELECTIONS, Shortlist
from router_memory.ranking import Evidence, Ranked, calibration_for
from router_memory.types import (
    CutoffRule,
    RankingMode,
    ReflectionAlgorithm,
    ReflectionPolicy,
    Retrieval,
    Retrieved,
    Scope,
)
from tests.unit.cache.parts import ALICE, AT, BOB, KEY, Clock, answer, asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from router_memory.types import SearchQuery

SMALL = answer("green tea")


def local(**options: Any) -> tuple[LocalCache, Clock, Counter[str]]:
    clock, counters = Clock(), Counter[str]()
    usual: dict[str, Any] = {"most_bytes": 1_000_000, "most_entries": 100, "ttl": 60.0}
    return LocalCache(meters=Meters(counters), timer=clock, **(usual | options)), clock, counters


def indexed(cache: LocalCache) -> set[Key]:
    """What the index of users holds."""
    assert all(cache._users.values())
    return {key for keys in cache._users.values() for key in keys}


def test_what_was_kept_is_given() -> None:
    """Itself, not a copy; nothing else is."""
    cache, _, _ = local()
    cache.put(asked("a"), SMALL)
    assert cache.get(asked("a")) is SMALL
    assert [cache.get(asked("b")), cache.get(asked("a", BOB)), cache.get(asked("a", lexical=False))] == [None] * 3
    assert [len(cache), cache.bytes] == [1, weight(SMALL)]


def test_bytes_are_bounded() -> None:
    """The least recently used makes room, and is counted."""
    cache, _, counters = local(most_bytes=3 * weight(SMALL) + 5)
    for text in "abc":
        cache.put(asked(text), SMALL)
    cache.get(asked("a"))
    cache.put(asked("d"), answer("green tea"))
    assert [text for text in "abcd" if cache.get(asked(text)) is not None] == ["a", "c", "d"]
    assert [counters["cache.evicted"], len(cache), len(indexed(cache))] == [1, 3, 3]


def test_entries_are_bounded() -> None:
    """However small they are."""
    cache, _, counters = local(most_bytes=10**9, most_entries=3)
    for number in range(10):
        cache.put(asked(str(number)), SMALL)
    assert [len(cache), len(indexed(cache)), counters["cache.evicted"]] == [3, 3, 7]


def test_entries_are_bounded_to_the_very_number() -> None:
    """Where the bytes are no multiple of it."""
    share, most = weight(SMALL) + 1, weight(SMALL) + 100
    cache, _, _ = local(most_bytes=(share * most) + most - 1, most_entries=most)
    for number in range(most + 50):
        cache.put(asked(str(number)), SMALL)
    assert len(cache) == most


def test_asking_for_numbers_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who looks is no user."""
    monkeypatch.setattr(random, "random", lambda: 0.0)
    cache, clock, _ = local(most_bytes=3 * weight(SMALL) + 5)
    for text in "abc":
        cache.put(asked(text), SMALL)
        clock.now += 1
    cache.get(asked("a"))
    assert cache.bytes == 3 * weight(SMALL)
    cache.put(asked("d"), SMALL)
    assert [text for text in "abcd" if cache.get(asked(text)) is not None] == ["a", "c", "d"]


def test_its_time_ends() -> None:
    """For all of them between nine tenths of it and the whole."""
    cache, clock, counters = local(ttl=100.0)
    for number in range(50):
        cache.put(asked(str(number)), SMALL)
    clock.now += 89.9
    assert len(cache) == 50
    clock.now += 5
    assert 0 < len(cache) < 50
    clock.now += 5.2
    assert [len(cache), indexed(cache), counters["cache.evicted"]] == [0, set(), 0]


def test_times_to_live_differ() -> None:
    """What was kept together does not end together."""
    drawn = [jittered(100.0) for _ in range(500)]
    assert 90 <= min(drawn) < 92
    assert 98 < max(drawn) <= 100


def test_a_user_is_purged() -> None:
    """In every project, and nobody else."""
    cache, _, counters = local()
    mine = [asked("a"), asked("b"), asked("a", Scope("alice", "garden"))]
    for query in [*mine, asked("a", BOB)]:
        cache.put(query, SMALL)
    assert cache.purge(ALICE) == 3
    assert [cache.get(query) for query in mine] == [None] * 3
    assert indexed(cache) == {key_of(asked("a", BOB))}
    assert [cache.purge(ALICE), cache.purge(Scope("nobody")), counters["cache.evicted"]] == [0, 0, 0]


def test_a_purge_takes_what_is_past_its_time() -> None:
    """It would lie in memory until something else is kept."""
    cache, clock, _ = local(ttl=10.0)
    cache.put(asked("a"), answer("secret"))
    clock.now += 11
    assert cache.get(asked("a")) is None
    cache.purge(ALICE)
    assert cache._entries is not None
    assert [indexed(cache), vars(cache._entries)["_Cache__data"]] == [set(), {}]


@pytest.mark.parametrize("how", ["evicted", "expired", "dropped", "purged", "cleared", "replaced"])
def test_what_was_kept_with_an_answer_leaves_with_it(how: str) -> None:
    """At once: nothing waits for the garbage collector."""
    cache, clock, _ = local(most_bytes=2 * weight(SMALL) + 1)
    gc.disable()
    try:
        ranking = _kept_with_a_ranking(cache)
        if how == "evicted":
            cache.put(asked("b"), SMALL)
            cache.put(asked("c"), SMALL)
        elif how == "expired":
            clock.now += 100
            cache.put(asked("b"), SMALL)
        elif how == "dropped":
            cache.drop(asked("a"))
        elif how == "purged":
            cache.purge(ALICE)
        elif how == "cleared":
            assert cache.clear() == 1
        else:
            cache.put(asked("a"), SMALL)
        assert ranking() is None
    finally:
        gc.enable()
    assert cache.get(asked("a")) is (SMALL if how == "replaced" else None)


def _kept_with_a_ranking(cache: LocalCache) -> weakref.ref[Ranked]:
    kept = answer("green tea")
    kept.memo[RankingMode.RERANK] = ranked = Ranked(Evidence(kept), RankingMode.RERANK, calibration_for("x", "torch"))
    assert ranked[0].record.content == "green tea"
    cache.put(asked("a"), kept)
    return weakref.ref(ranked)


def test_an_answer_that_is_kept_again_keeps_its_ranking_or_makes_it_anew() -> None:
    """Either way it is there."""
    cache, _, _ = local()
    cache.put(asked("a"), SMALL)
    cache.put(asked("a"), SMALL)
    assert [cache.get(asked("a")), len(cache), indexed(cache)] == [SMALL, 1, {key_of(asked("a"))}]


def test_without_room_nothing_is_kept() -> None:
    """`local_mb: 0`."""
    cache, _, counters = local(most_bytes=0)
    cache.put(asked("a"), SMALL)
    cache.drop(asked("a"))
    assert [cache.get(asked("a")), len(cache), cache.bytes, cache.purge(ALICE), cache.clear()] == [None, 0, 0, 0, 0]
    assert [indexed(cache), counters] == [set(), Counter()]


def test_an_answer_larger_than_everything_is_not_kept() -> None:
    """And nothing leaves for it."""
    cache, _, counters = local(most_bytes=2 * weight(SMALL))
    cache.put(asked("a"), SMALL)
    cache.put(asked("b"), answer(*(f"tea number {number} " + "x" * 900 for number in range(50))))
    assert [cache.get(asked("b")), cache.get(asked("a")), indexed(cache)] == [None, SMALL, {key_of(asked("a"))}]
    assert counters["cache.evicted"] == 0


@given(st.data())
@settings(max_examples=60)
def test_whatever_happens_the_index_is_what_is_kept(data: st.DataObject) -> None:
    """Against a model without bounds: an answer is the last one kept, or gone for a reason; nothing stays behind."""
    tight = data.draw(st.booleans(), "tight")
    cache, clock, counters = local(most_bytes=(6 if tight else 1_000) * weight(SMALL), ttl=10.0)
    model: dict[SearchQuery, tuple[Retrieval, float]] = {}
    queries = st.builds(asked, st.sampled_from("abcd"), st.sampled_from([ALICE, BOB, Scope("alice", "p")]))
    for _ in range(data.draw(st.integers(1, 40), "steps")):
        what = data.draw(st.sampled_from(["put", "put", "put", "get", "drop", "purge", "wait", "clear"]), "what")
        query = data.draw(queries, "query")
        if what == "put":
            kept = answer("green tea")
            cache.put(query, kept)
            model[query] = kept, clock.now
        elif what == "drop":
            cache.drop(query)
            model.pop(query, None)
        elif what == "purge":
            cache.purge(query.scope)
            model = {key: value for key, value in model.items() if key.scope.user_id != query.scope.user_id}
            assert query.scope.user_id not in cache._users
        elif what == "wait":
            clock.now += data.draw(st.floats(0, 8), "seconds")
        elif what == "clear":
            cache.clear()
            model.clear()
        found = cache.get(query)
        expected, at = model.get(query, (None, 0.0))
        if found is not None:
            assert found is expected
            assert clock.now - at < 10.0
        elif expected is not None:
            assert tight or clock.now - at >= 9.0
        assert len(cache) == len(indexed(cache))
        assert cache.bytes <= (6 if tight else 1_000) * weight(SMALL)
    assert tight or counters["cache.evicted"] == 0
    clock.now += 20
    assert [len(cache), cache._users] == [0, {}]


def test_the_weight_of_an_answer_from_level_2_covers_what_is_read_of_it() -> None:
    """Ranking by weights reads every record; they stay beside the bytes they were read from."""
    contents = [f"{number} " + "green tea and rice " * 8 for number in range(200)]
    raw = encode(answer(*contents), KEY, ttl=60)

    def read() -> Retrieval:
        got = decode(raw, KEY, ALICE)
        for mode in RankingMode:
            got.memo[mode] = Ranked(Evidence(got), mode, calibration_for("x", "torch"))
        return got

    got = read()  # what the first of all makes stays in the process, and is no answer's
    assert min(_taken(read) for _ in range(3)) < 1.5 * weight(got)  # threads of other tests may be at work


@pytest.mark.parametrize("count", [1, 3, 8, 16, 40, 100])
def test_the_weight_of_an_answer_covers_what_is_remembered_beside_it(count: int) -> None:
    """By decisions of two hybrid modes that try everything: most of a small answer's memory is what was derived."""
    contents = [f"{number} green tea number w{number} x{number} y{number}" for number in range(count)]
    raw = encode(answer(*contents), KEY, ttl=60)

    def used() -> Retrieval:
        got = decode(raw, KEY, ALICE)
        for mode in (RankingMode.RERANK, RankingMode.RRF):
            got.memo[mode] = ranked = Ranked(Evidence(got), mode, calibration_for("x", "torch"))
            for algorithm in ReflectionAlgorithm:
                _selected(got, ranked, mode, ReflectionPolicy(algorithm=algorithm))
        return got

    got = used()  # what the first of all makes stays in the process, and is no answer's
    assert min(_taken(used) for _ in range(3)) < 1.5 * weight(got)  # threads of other tests may be at work


def _taken(work: Callable[[], object]) -> int:
    """Bytes that what `work` gives takes, and what other threads allocate meanwhile."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        got = work()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        del got
    finally:
        tracemalloc.stop()
    return taken


def _selected(got: Retrieval, ranked: Ranked, mode: RankingMode, reflection: ReflectionPolicy) -> None:
    """Selects as often as is remembered, and once more."""
    for step in range(MOST_SELECTIONS + 1):
        Shortlist(
            Retrieved(got),
            ranked,
            limit=16,
            mode=mode,
            reflection=reflection,
            visible=(),
            now=AT,
            clipped=False,
            seconds={},
            starts={},
        ).recollection(step / 100, CutoffRule.RELATIVE)
