"""The reference's defects (REFERENCE.md §2) that concern this backend, each as a test of the same number."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from router_memory import MemoryPlugin, Status
from router_memory.config import load_config
from router_memory.types import CandidateQuery, MemoryChange, MemoryType, Scope, WriteStatus
from router_memory.wiring import Assembly
from tests.contract.samples import START, change, ids, memories, memory, query, unit_vectors
from tests.doubles import HashingEmbedder
from tests.servers.census import census
from tests.servers.stores import clear, fresh_names, store_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router_memory.backends.valkey import ValkeyStore
    from router_memory.types import CandidateSet
    from tests.servers.cluster import Cluster
    from tests.servers.process import Endpoint

ALICE = Scope("alice")


@pytest.fixture
async def names(search_server: Endpoint) -> AsyncIterator[dict[str, str]]:
    """A prefix and an index that are removed afterwards."""
    made = fresh_names()
    yield made
    await clear([search_server.address], made["prefix"], made["index_name"], cluster=False)


@pytest.fixture
async def store(search_server: Endpoint, names: dict[str, Any]) -> AsyncIterator[ValkeyStore]:
    """On a prefix of its own."""
    async with store_on([search_server.address], **names) as made:
        yield made


def found(result: CandidateSet) -> set[str]:
    return {candidate.record.id for candidate in result.candidates}


async def test_1_ids_that_differ_by_case_or_hold_commas_are_different_users(store: ValkeyStore) -> None:
    """`Alice` does not read `alice`, and `a,b` is not visible to `a`."""
    users = [Scope(name) for name in ("alice", "Alice", "ALICE", "a,b", "a", "b", "a|b", "*")]
    for seed, user in enumerate(users):
        await store.add(user, [memory(user, seed, stems={"tea": 1})])
    for seed, user in enumerate(users):
        assert found(await store.candidates(query(user, 3, stems=("tea",)))) == set(ids([memory(user, seed)]))


@pytest.mark.parametrize("mode", ["rrf", "weighted", "rerank"])
async def test_4_no_mode_returns_nothing_with_a_normal_threshold(
    search_server: Endpoint, names: dict[str, str], mode: str
) -> None:
    """The reference's rrf scores are ≤ 0.05, so its threshold cuts all of them."""
    host, port = search_server.address
    valkey = {
        "host": host,
        "port": port,
        "dimension": HashingEmbedder.dimension,
        "collection_prefix": names["prefix"],
        "index_name": names["index_name"],
    }
    section: dict[str, Any] = {
        "enabled": True,
        "backend": "valkey",
        "valkey": valkey,
        "hybrid_search": True,
        "hybrid_mode": mode,
        "default_similarity_threshold": 0.6,
        "deadline_ms": 5_000,
    }
    source = {"global": {"stores": {"memory": section}}}
    async with MemoryPlugin(Assembly(load_config(source), HashingEmbedder)) as plugin:
        await plugin.add(ALICE, "I always book the aisle seat on flights")
        messages = [{"role": "user", "content": "Which seat do I always book on flights?"}]
        outcome = await plugin.on_request(decision="any", user_id="alice", messages=messages)
    assert outcome.status is Status.USED


async def test_5_a_lexical_match_outside_the_dense_list_is_found(store: ValkeyStore) -> None:
    """However far away it is."""
    far = memory(ALICE, 500, stems={"zanzibar": 1}, vectors=-unit_vectors(5))
    await store.add(ALICE, [far, *memories(ALICE, 100)])
    result = await store.candidates(query(ALICE, 5, stems=("zanzibar",), dense_limit=3))
    assert far.record.id in found(result)


async def test_6_project_and_types_count_and_times_come_back(store: ValkeyStore) -> None:
    """Retrieval keeps to both, and every hit brings created_at, so that recency can count."""
    home, work = Scope("alice", "home"), Scope("alice", "work")
    writes = [memory(scope, seed, type=kind) for seed, (scope, kind) in enumerate(
        (scope, kind) for scope in (home, work) for kind in MemoryType
    )]  # fmt: skip
    for write in writes:
        await store.add(write.record.scope, [write])
    result = await store.candidates(replace(query(home, 1), types=frozenset({MemoryType.SEMANTIC})))
    (hit,) = result.candidates
    assert (hit.record.scope, hit.record.type) == (home, MemoryType.SEMANTIC)
    assert hit.record.created_at == writes[0].record.created_at


async def test_7_an_update_embeds_anew_keeps_counts_and_creates_nothing(store: ValkeyStore) -> None:
    """The memory is where its new text is, access_count and created_at stay, and an unknown id stays unknown."""
    old, new = memory(ALICE, 1), memory(ALICE, 2, updated_at=START + timedelta(days=1))
    await store.add(ALICE, [old])
    await store.touch(ALICE, ids([old]) * 3, START)
    updated = await store.update(ALICE, old.record.id, change(new))
    assert updated is not None
    assert (updated.access_count, updated.created_at) == (3, old.record.created_at)
    (hit,) = (await store.candidates(query(ALICE, 2))).candidates
    assert hit.cosine == pytest.approx(1.0, abs=1e-5)
    assert await store.update(ALICE, "unknown", change(new)) is None
    assert await store.count(ALICE) == 1


async def test_8_a_write_that_was_cut_short_can_be_repeated(
    search_server: Endpoint, names: dict[str, str], store: ValkeyStore
) -> None:
    """No id-only row stands in the way of the retry: what is there is whole, what is not can be stored."""
    writes = [memory(ALICE, seed, rows=2) for seed in range(60)]
    for pause in (0.0, 0.0005, 0.001, 0.002):
        task = asyncio.create_task(store.add(ALICE, writes))
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    statuses = await store.add(ALICE, writes)
    assert set(statuses) <= {WriteStatus.STORED, WriteStatus.MERGED}
    counted = census(*search_server.address, names["prefix"])
    assert counted.faults() == []
    assert counted.memories == 60


async def test_9_counting_an_access_after_a_deletion_leaves_no_ghost(
    search_server: Endpoint, names: dict[str, str], store: ValkeyStore
) -> None:
    """And it is one call for all of them."""
    writes = memories(ALICE, 20)
    await store.add(ALICE, writes)
    await store.forget_scope(ALICE)
    await store.touch(ALICE, ids(writes), START)
    await store.update(ALICE, writes[0].record.id, MemoryChange(at=START, importance=1.0))
    assert census(*search_server.address, names["prefix"]).keys == 0


async def test_10_an_index_of_another_kind_is_not_used_as_it_is(store: ValkeyStore) -> None:
    """Held at length by test_store_errors.py (mismatches) and test_store_faults.py (late start, ten at once)."""
    await store.add(ALICE, memories(ALICE, 3))
    details = (await store.stats()).details
    assert details["index_ready"]


async def test_11_a_cluster_is_served_like_a_server(search_cluster: Cluster) -> None:
    """Deletions and writes of many memories, in one call, for users on every node."""
    users = [Scope(f"user {number}") for number in range(9)]
    assert {search_cluster.node_of(f"{{{user.user_digest}}}") for user in users} == {0, 1, 2}
    async with store_on(search_cluster.addresses, cluster=True) as store:
        for user in users:
            assert await store.add(user, memories(user, 40)) == [WriteStatus.STORED] * 40
        for user in users:
            assert len((await store.candidates(query(user, dense_limit=100))).candidates) == 40
            assert await store.forget(user, ids(memories(user, 30))) == 30
            assert await store.forget_scope(user) == 10


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
async def test_16_one_similarity_scale_for_every_metric(search_server: Endpoint, metric: str) -> None:
    """A cosine is a cosine: the threshold 0.70 means the same everywhere."""
    async with store_on([search_server.address], metric=metric) as store:
        writes = memories(ALICE, 40)
        await store.add(ALICE, writes)
        vector = unit_vectors(99)[0]
        result = await store.candidates(CandidateQuery(scope=ALICE, vector=vector))
        for hit in result.candidates:
            expected = next(float(w.vectors[0] @ vector) for w in writes if w.record.id == hit.record.id)
            assert hit.cosine == pytest.approx(expected, abs=1e-5)
