"""What is computed between the store and the reply: rerank and injection. Both are pure."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.stages.conftest import DECISION, User
from bench.stages.measure import Stages
from router_memory.pipeline.inject import inject, render
from router_memory.ranking import Evidence, Question, Ranked, calibration_for, cut, read, retrieval_of
from router_memory.types import CandidateQuery, CandidateSet, CutoffRule, Hit, LexicalStatistics, RankingMode

CANDIDATES = 100
INJECTED = 10

Found = tuple[Question, frozenset[str], LexicalStatistics, CandidateSet]


@pytest.fixture(scope="module")
def found(stages: Stages, user: User) -> list[Found]:
    """For each question its 100 nearest memories."""

    async def search(index: int) -> Found:
        question = read(user.corpus.questions[index].text)
        statistics = await user.parts.store.statistics(user.scope, question.terms)
        names = question.names(statistics)
        vector = await stages.embedder.embed_query(question.without(names))
        wanted = CandidateQuery(scope=user.scope, vector=vector, dense_limit=CANDIDATES)
        return question, names, statistics, await user.parts.store.candidates(wanted)

    async def all_of_them() -> list[Found]:
        return [await search(index) for index in range(len(stages.texts))]

    found = stages.run(all_of_them())
    assert all(len(one.candidates) == CANDIDATES for *_, one in found)
    return found


def test_rerank_100(benchmark: BenchmarkFixture, stages: Stages, found: list[Found]) -> None:
    """Evidence, all signals, the order, ten hits and the cut-off."""
    calibration = calibration_for(stages.embedder.fingerprint, stages.embedder.runtime)

    def rerank(index: int) -> None:
        ranked = Ranked(Evidence(retrieval_of(*found[index])), RankingMode.RERANK, calibration)
        hits = [ranked[place] for place in range(INJECTED)]
        cut([hit.similarity for hit in hits], 0.60, CutoffRule.RELATIVE, RankingMode.RERANK)

    stages.measure(benchmark, rerank)


def test_inject_10(benchmark: BenchmarkFixture, stages: Stages, user: User) -> None:
    """The block of ten memories, and the request's messages with it."""

    async def hits_of(index: int) -> list[Hit]:
        text = user.corpus.questions[index].text
        return await user.plugin.search(user.scope, text, limit=INJECTED, threshold=0.0, decision=DECISION)

    hits = [stages.run(hits_of(index)) for index in range(len(stages.texts))]
    messages = [user.messages(index) for index in range(len(stages.texts))]
    assert all(len(one) == INJECTED for one in hits)
    stages.measure(benchmark, lambda index: inject(messages[index], render(hits[index]), role="system"))
