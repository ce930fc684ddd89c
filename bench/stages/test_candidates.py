"""What the store does for one request, at several numbers of memories."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.stages.corpus import make_corpus
from bench.stages.measure import Stages
from bench.stages.vectors import DIMENSION, Precomputed, clustered
from router_memory.backends.embedded import EmbeddedStore
from router_memory.pipeline.remember import Remember
from router_memory.ranking import rarest, read
from router_memory.types import CandidateQuery, Scope, WritePolicy

SCOPE = Scope("priya")
FINGERPRINT = "clustered/384/bench"


@dataclass(frozen=True, slots=True)
class Search:
    """A store and what each request asks it."""

    store: EmbeddedStore
    asked: list[tuple[tuple[str, ...], CandidateQuery]]

    async def __call__(self, index: int) -> int:
        """Both calls of a request; the number of candidates."""
        terms, query = self.asked[index]
        await self.store.statistics(SCOPE, terms)
        return len((await self.store.candidates(query)).candidates)


@pytest.fixture(scope="module", params=[100, 1_000, 10_000])
def search(
    request: pytest.FixtureRequest, stages: Stages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Search]:
    """A user with clustered vectors."""
    seed = int(request.config.getoption("--seed"))
    corpus = make_corpus(request.param, questions=len(stages.texts), seed=seed)
    vectors = clustered(corpus, seed=seed)
    store = _store(tmp_path_factory.mktemp("candidates") / "memory.db")

    async def fill() -> list[tuple[tuple[str, ...], CandidateQuery]]:
        await store.open()
        embedder = Precomputed(vectors, dimension=DIMENSION, fingerprint=FINGERPRINT, runtime="torch")
        remember = Remember(store, embedder, WritePolicy())
        for session in corpus.sessions:
            await remember.turns(SCOPE, session.id, session.turns)
        assert await store.count(SCOPE) == request.param
        asked = []
        for question in map(read, (one.text for one in corpus.questions)):
            statistics = await store.statistics(SCOPE, question.terms)
            stems = rarest(question.stems(question.names(statistics)), statistics)
            asked.append((question.terms, CandidateQuery(scope=SCOPE, vector=vectors[question.text], stems=stems)))
        return asked

    yield Search(store, stages.run(fill()))
    stages.run(store.close())


def _store(path: Path) -> EmbeddedStore:
    return EmbeddedStore(path, dimension=DIMENSION, fingerprint=FINGERPRINT, synchronous="normal")


def test_candidates(benchmark: BenchmarkFixture, stages: Stages, search: Search) -> None:
    """`statistics` and `candidates`, 50 nearest and those with rare stems."""
    numbers = [stages.run(search(index)) for index in range(len(stages.texts))]
    stages.measure(benchmark, lambda index: stages.run(search(index)), candidates_median=median(numbers))
