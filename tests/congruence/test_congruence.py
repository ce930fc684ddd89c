"""The embedded store and the Valkey store give the same answers to the same random calls."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from router_memory.types import Scope
from tests.congruence.twins import Step, Twins, steps
from tests.contract.samples import memory, query, unit_vectors
from tests.servers.stores import store_on
from tests.unit.embedded.stores import opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.cluster import Cluster
    from tests.servers.process import Endpoint

ALICE = Scope("alice")

VARIANTS: dict[str, dict[str, Any]] = {
    "cosine": {"metric": "COSINE"},
    "l2": {"metric": "L2"},
    "inner product": {"metric": "IP"},
    "graphs of users": {"metric": "COSINE", "promote_at": 15},
    "one graph": {"metric": "IP", "index_type": "hnsw"},
}
_QUICK = settings(max_examples=12, phases=[Phase.reuse, Phase.generate], suppress_health_check=list(HealthCheck))
_LONG = settings(max_examples=40, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@asynccontextmanager
async def twins(folder: Path, server: Endpoint, **options: Any) -> AsyncIterator[Twins]:
    """An embedded and a Valkey store, empty."""
    async with opened(folder / "memories.db") as one, store_on([server.address], **options) as other:
        graph = options.get("index_type") == "hnsw" or "promote_at" in options
        yield Twins(one, other, distinct=graph)


async def _run(pair: Twins, sequence: list[Step]) -> None:
    pair.example += 1
    pair.known.clear()
    for step in sequence:
        await pair.step(step)


@pytest.fixture(params=list(VARIANTS.values()), ids=list(VARIANTS))
async def pair(request: pytest.FixtureRequest, tmp_path: Path, search_server: Endpoint) -> AsyncIterator[Twins]:
    """Stores for each metric and kind of index."""
    async with twins(tmp_path, search_server, **request.param) as made:
        yield made
        await made.totals()
        assert made.recall() >= 0.99


@_QUICK
@given(sequence=st.lists(steps, min_size=10, max_size=30))
async def test_the_same_calls_give_the_same_answers(pair: Twins, sequence: list[Step]) -> None:
    """Every answer, every statistic, every page; cosines within 1e-4."""
    await _run(pair, sequence)


@pytest.mark.full
@seed(20_261_120)
@_LONG
@given(sequence=st.lists(steps, min_size=60, max_size=150))
async def test_the_same_calls_give_the_same_answers_for_long(pair: Twins, sequence: list[Step]) -> None:
    """Many more and longer sequences, the same each time."""
    await _run(pair, sequence)


@pytest.mark.full
@seed(20_261_121)
@_LONG
@given(sequence=st.lists(steps, min_size=30, max_size=60))
async def test_a_cluster_gives_the_same_answers(tmp_path: Path, search_cluster: Cluster, sequence: list[Step]) -> None:
    """Users lie on three nodes. The stores are new for each example."""
    async with (
        opened(Path(mkdtemp(dir=tmp_path)) / "memories.db") as one,
        store_on(search_cluster.addresses, cluster=True, metric="L2") as other,
    ):
        pair = Twins(one, other)
        await _run(pair, sequence)
        await pair.totals()
        assert pair.recall() >= 0.99


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
async def test_metrics_share_one_scale(tmp_path: Path, search_server: Endpoint, metric: str) -> None:
    """The same, the opposite and anything between come out as their cosine, whatever the index computes."""
    async with twins(tmp_path, search_server, metric=metric) as pair:
        vector = unit_vectors(7)
        writes = [memory(ALICE, 1, vectors=vector), memory(ALICE, 2, vectors=-vector), memory(ALICE, 3)]
        for store in (pair.one, pair.other):
            await store.add(ALICE, writes)
        one, other = [
            {hit.record.id: hit.cosine for hit in (await store.candidates(query(ALICE, 7))).candidates}
            for store in (pair.one, pair.other)
        ]
        assert other[writes[0].record.id] == pytest.approx(1.0, abs=1e-6)
        assert other[writes[1].record.id] == pytest.approx(-1.0, abs=1e-6)
        assert other == pytest.approx(one, abs=1e-4)


@pytest.mark.full
async def test_a_large_users_graph_finds_what_the_exact_search_finds(tmp_path: Path, search_server: Endpoint) -> None:
    """Recall of one against the other ≥ .99 over 5,000 memories of two vectors."""
    async with twins(tmp_path, search_server, promote_at=1_000) as pair:
        writes = [memory(ALICE, number, rows=1 + number % 2) for number in range(5_000)]
        for store in (pair.one, pair.other):
            await store.add(ALICE, writes)
        await pair.other.settle()  # type: ignore[attr-defined]
        for number in range(300):
            await pair.search(ALICE, 10_000 + number, frozenset(), (), 10)
        result = await pair.other.candidates(query(ALICE, 1))
        assert not result.exact
        assert pair.recall() >= 0.99
