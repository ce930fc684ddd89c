"""Whole requests and their floor."""

from __future__ import annotations

from statistics import fmean, median

from pytest_benchmark.fixture import BenchmarkFixture

from bench.stages.conftest import User
from bench.stages.measure import Stages
from router_memory.backends.bert import BertEmbedder


def test_embed(benchmark: BenchmarkFixture, stages: Stages) -> None:
    """One short query through torch: the floor, here against itself."""
    stages.measure(benchmark, stages.embed)


def test_embed_configured(benchmark: BenchmarkFixture, stages: Stages, configured: BertEmbedder) -> None:
    """The same query through the runtime that is the default."""
    stages.measure(benchmark, lambda index: stages.run(configured.embed_query(stages.texts[index])))


def test_on_request(benchmark: BenchmarkFixture, stages: Stages, user: User) -> None:
    """`on_request` at 1,000 memories."""
    stages.measure(benchmark, lambda index: stages.run(user.request(index)), **_facts(stages, user))


def test_on_request_without_embedding(benchmark: BenchmarkFixture, stages: Stages, user_without_model: User) -> None:
    """`on_request` at 1,000 memories with the query's vector at hand."""
    facts = _facts(stages, user_without_model)
    stages.measure(benchmark, lambda index: stages.run(user_without_model.request(index)), **facts)


def _facts(stages: Stages, user: User) -> dict[str, float]:
    """How much there was to do."""
    outcomes = [stages.run(user.request(index)) for index in range(len(stages.texts))]
    found = [outcome.explain.recollection for outcome in outcomes]
    return {
        "candidates_median": median(one.candidates for one in found if one),
        "injected_mean": fmean(len(outcome.memories) for outcome in outcomes),
    }
