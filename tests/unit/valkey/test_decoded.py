"""Decoded memories: each decoded once while its bytes stay the same, kept for a while and while there is room."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from router_memory.backends.valkey.damage import Damaged, Misfiled
from router_memory.backends.valkey.decoded import KEPT_SECONDS, Decoded
from router_memory.types import MemoryChange, Scope
from tests.contract.samples import START, change, memories, memory, query
from tests.servers.stores import fresh_names, store_on

if TYPE_CHECKING:
    from router_memory.backends.valkey import ValkeyStore
    from router_memory.backends.valkey.records import Hash
    from tests.servers.process import Endpoint

ALICE = Scope("alice")
PLENTY = 1 << 20


def row(content: str = "text", *, project: str = "null", accesses: int = 0) -> dict[bytes, bytes]:
    """What the server sends of a memory; the bytes are new ones each time."""
    origin = f'[{project},null,null,null,0,"{"1" * 32}"]'
    text = f'["{content}",1,{{"stem":1}},1]'
    return {b"memory": f"{origin}\0{text}".encode(), b"state": f"semantic 0.5 0 {accesses} -".encode()}


def contents(decoded: Decoded, scope: Scope, rows: dict[bytes, Hash]) -> list[str]:
    return [record.content for record, _, _ in decoded.memories(scope, list(rows), rows)]


def test_a_memory_that_stays_the_same_is_decoded_once() -> None:
    decoded = Decoded(PLENTY)
    (before,) = decoded.memories(ALICE, [b"a"], {b"a": row()})
    (after,) = decoded.memories(ALICE, [b"a"], {b"a": row()})
    assert after is before


@pytest.mark.parametrize("changed", [row("other"), row(accesses=1)], ids=["text", "state"])
def test_a_memory_that_changed_is_decoded_anew(changed: dict[bytes, bytes]) -> None:
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    assert decoded.memories(ALICE, [b"a"], {b"a": changed}) == Decoded(0).memories(ALICE, [b"a"], {b"a": changed})


def test_memories_come_in_the_order_of_their_ids() -> None:
    """Known ones among new ones."""
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"b"], {b"b": row("B")})
    assert contents(decoded, ALICE, {b"a": row("A"), b"b": row("B"), b"c": row("C")}) == ["A", "B", "C"]


def test_equal_ids_of_two_users_are_two_memories() -> None:
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    ((record, _, _),) = decoded.memories(Scope("bob"), [b"a"], {b"a": row()})
    assert record.scope == Scope("bob")


def test_a_known_memory_of_another_project_is_held_back() -> None:
    """All of the user's projects were searched before, now one of them."""
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"a"], {b"a": row(project='"work"')})
    with pytest.raises(Misfiled):
        decoded.memories(Scope("alice", "home"), [b"a"], {b"a": row(project='"work"')})
    assert contents(decoded, Scope("alice", "work"), {b"a": row(project='"work"')}) == ["text"]


def test_a_known_memory_that_lost_a_field_is_damaged() -> None:
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    with pytest.raises(Damaged):
        decoded.memories(ALICE, [b"a"], {b"a": {b"memory": row()[b"memory"]}})


def test_nothing_is_kept_of_a_user_who_is_let_go() -> None:
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    decoded.memories(Scope("bob"), [b"a"], {b"a": row()})
    decoded.let_go(ALICE)
    assert len(decoded) == 1


def test_users_searched_long_ago_make_room() -> None:
    decoded = Decoded(30_000)
    for number in range(100):
        decoded.memories(Scope(f"user-{number}"), [b"a"], {b"a": row()})
    (kept,) = decoded.memories(Scope("user-99"), [b"a"], {b"a": row()})
    assert 10 < len(decoded) < 30
    assert decoded.weight <= 30_000
    assert kept is decoded.memories(Scope("user-99"), [b"a"], {b"a": row()})[0]


def test_one_user_takes_half_of_the_room_at_most() -> None:
    decoded = Decoded(30_000)
    for number in range(100):
        name = str(number).encode()
        decoded.memories(ALICE, [name], {name: row()})
        assert decoded.weight <= 15_000
    assert len(decoded) > 2


def test_a_user_who_has_taken_it_makes_room_for_what_is_new_and_no_more() -> None:
    """Letting go of thousands at once would hold up everybody."""
    decoded = Decoded(1 << 18)
    counts = []
    for number in range(200):
        name = b"%03d" % number
        decoded.memories(ALICE, [name], {name: row()})
        counts.append(len(decoded))
    assert counts[-100:] == [counts[-1]] * 100
    assert decoded.memories(ALICE, [b"199"], {b"199": row()})[0][0].id == "199"


@pytest.mark.parametrize(
    ("content", "stems"),
    [("x" * 200, 18), ("x" * 2_000, 150), ("x" * 8_000 + "\U0001f600", 20), ("\u4e00" * 700, 100)],
    ids=["200", "2,000", "a wide character", "Chinese"],
)
def test_memories_weigh_what_they_take(content: str, stems: int) -> None:
    """One wide character makes Python keep all of a text in four bytes for each."""
    decoded, scopes = Decoded(1 << 30), [Scope(f"user-{number}") for number in range(3)]
    tracemalloc.start()
    try:
        for scope in scopes:
            decoded.memories(scope, *_many(content, stems))
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.9 < decoded.weight / taken < 2.0


def _many(content: str, stems: int) -> tuple[list[bytes], dict[bytes, dict[bytes, bytes]]]:
    rows = {}
    for number in range(50):
        text = orjson.dumps([f"{content}{number}", stems, {f"{number}-{stem}": 1 for stem in range(stems)}, 1])
        origin = b'[null,null,null,null,0,"%s"]' % (b"1" * 32)
        rows[b"%032d" % number] = {b"memory": origin + b"\0" + text, b"state": row()[b"state"]}
    return list(rows), rows


def test_nothing_is_kept_for_longer_than_its_time() -> None:
    """Another process may have forgotten it: however often its user is searched, and whoever is searched next."""
    now = 1000.0
    decoded = Decoded(PLENTY, timer=lambda: now)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    now += KEPT_SECONDS / 2
    decoded.memories(ALICE, [b"b"], {b"b": row()})
    assert len(decoded) == 2
    now += KEPT_SECONDS / 2
    decoded.memories(Scope("bob"), [b"a"], {b"a": row()})
    assert len(decoded) == 1


def test_a_user_is_let_go_whose_time_is_over() -> None:
    now = 1000.0
    decoded = Decoded(PLENTY, timer=lambda: now)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    now += KEPT_SECONDS
    decoded.let_go(ALICE)
    now -= KEPT_SECONDS
    assert len(decoded) == 0


def test_what_was_sent_before_somebody_was_let_go_is_not_kept() -> None:
    decoded = Decoded(PLENTY)
    partings = decoded.partings
    decoded.let_go(ALICE)
    decoded.memories(ALICE, [b"a"], {b"a": row()}, partings=partings)
    assert len(decoded) == 0
    decoded.memories(ALICE, [b"a"], {b"a": row()}, partings=decoded.partings)
    assert len(decoded) == 1


def test_a_memory_that_is_decoded_anew_counts_once() -> None:
    decoded = Decoded(PLENTY)
    decoded.memories(ALICE, [b"a"], {b"a": row()})
    before = decoded.weight
    for number in range(1, 10):
        decoded.memories(ALICE, [b"a"], {b"a": row(accesses=number)})
    assert (len(decoded), decoded.weight) == (1, before)


def test_without_room_nothing_is_kept() -> None:
    decoded = Decoded(0)
    assert contents(decoded, ALICE, {b"a": row()}) == ["text"]
    assert (len(decoded), decoded.weight) == (0, 0)


# -- in a store


async def found(store: ValkeyStore, scope: Scope = ALICE) -> dict[str, tuple[str, int]]:
    """What a search finds: contents and counts of injections by id."""
    candidates = (await store.candidates(query(scope, 1))).candidates
    return {one.record.id: (one.record.content, one.record.access_count) for one in candidates}


def kept(store: ValkeyStore) -> int:
    return len(store._searcher._decoded)


async def test_a_search_sees_every_change_at_once(search_server: Endpoint) -> None:
    """Whichever process made it: of a memory that this one has decoded already."""
    async with store_on([search_server.address]) as store:
        first, second = memories(ALICE, 2)
        await store.add(ALICE, [first, second])
        await found(store)
        assert kept(store) == 2
        await store.update(ALICE, first.record.id, change(memory(ALICE, 7)))
        await store.touch(ALICE, [second.record.id], START)
        assert await found(store) == {
            first.record.id: ("memory number 7", 0),
            second.record.id: ("memory number 1", 1),
        }


@pytest.mark.parametrize("all_of_them", [False, True], ids=["one memory", "the user"])
async def test_what_was_forgotten_is_kept_by_nobody(search_server: Endpoint, *, all_of_them: bool) -> None:
    async with store_on([search_server.address]) as store:
        for scope in (ALICE, Scope("bob")):
            await store.add(scope, memories(scope, 3))
            await found(store, scope)
        assert kept(store) == 6
        if all_of_them:
            await store.forget_scope(ALICE)
        else:
            await store.forget(ALICE, [memory(ALICE, 0).record.id])
        assert kept(store) == 3


async def test_a_search_under_way_keeps_nothing_of_what_is_forgotten_meanwhile(
    search_server: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_on([search_server.address]) as store:
        await store.add(ALICE, memories(ALICE, 3))
        searched = store._searcher._searched

        async def forgotten_then(*args: Any) -> Any:
            answer = await searched(*args)
            await store.forget_scope(ALICE)
            return answer

        monkeypatch.setattr(store._searcher, "_searched", forgotten_then)
        assert len(await found(store)) == 3
        assert kept(store) == 0


async def test_a_text_that_was_changed_is_kept_by_nobody(search_server: Endpoint) -> None:
    """Whatever else changes of a memory leaves the others decoded."""
    async with store_on([search_server.address]) as store:
        await store.add(ALICE, memories(ALICE, 3))
        await found(store)
        await store.update(ALICE, memory(ALICE, 0).record.id, MemoryChange(at=START, importance=0.9))
        assert kept(store) == 3
        await store.update(ALICE, memory(ALICE, 0).record.id, change(memory(ALICE, 7)))
        assert kept(store) == 0


async def test_a_user_whom_another_process_forgot_is_let_go_by_the_next_search(search_server: Endpoint) -> None:
    names: dict[str, Any] = {**fresh_names()}
    async with store_on([search_server.address], **names) as store, store_on([search_server.address], **names) as other:
        await store.add(ALICE, memories(ALICE, 3))
        await found(store)
        await other.forget_scope(ALICE)
        assert kept(store) == 3
        assert await found(store) == {}
        assert kept(store) == 0


async def test_a_store_that_is_to_keep_nothing_finds_the_same(search_server: Endpoint) -> None:
    async with store_on([search_server.address], decoded_bytes=0) as store:
        await store.add(ALICE, memories(ALICE, 3))
        assert await found(store) == await found(store)
        assert kept(store) == 0
