"""What ranking and a whole search cost, as a share of one embedding of a short text by torch.

All are taken in turn in the same run, so that a busy machine slows all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.claims import at_most
from bench.stages.corpus import make_corpus
from bench.stages.vectors import Precomputed
from bench.valkey.timing import in_turn
from router_memory import MemoryPlugin, Scope
from router_memory.backends.bert import BertEmbedder
from router_memory.config import load_config
from router_memory.ranking import Evidence, Ranked, calibration_for, cut, read, retrieval_of
from router_memory.types import CandidateQuery, CandidateSet, CutoffRule, LexicalStatistics, RankingMode
from router_memory.wiring import Assembly

if TYPE_CHECKING:
    from bench.quality.backend import Backend
    from bench.stages.corpus import Corpus
    from router_memory.protocols import MemoryStore
    from router_memory.ranking import Question

__all__ = ["measure_cost"]

MEMORIES = 1_000
QUESTIONS = 50
ROUNDS = 300
CANDIDATES = 100
HITS = 10
MOST_RERANK = 0.12
MOST_SEARCH = 0.40
THRESHOLD = 0.60

Found = tuple["Question", frozenset[str], LexicalStatistics, CandidateSet]


async def measure_cost(backend: Backend, config: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The floor in milliseconds, and each figure in milliseconds and as a ratio to it; medians of 300 rounds.

    rerank_100: All signals of 100 candidates, the order, ten hits and the cut-off.
    search_1000: `search` as configured, of a user with 1,000 generated memories, its query's vector being ready.
    """
    corpus, scope = make_corpus(MEMORIES, questions=QUESTIONS, seed=seed), Scope("priya")
    asked = [question.text for question in corpus.questions]
    torch = BertEmbedder(runtime="torch")
    async with backend.document(config) as document:
        try:
            texts = await _filled(document, corpus, scope)
            await torch.open()
            vectors = {text: await torch.embed_query(text) for text in texts}
            ready = Precomputed(
                vectors, dimension=torch.dimension, fingerprint=torch.fingerprint, runtime=torch.runtime
            )
            parts = Assembly(load_config(document), lambda: ready)
            async with MemoryPlugin(parts) as plugin:
                found = [await _candidates(parts.store, scope, text, ready) for text in asked]
                calibration = calibration_for(torch.fingerprint, torch.runtime)

                async def embed(number: int) -> None:
                    await torch.embed_query(texts[number % QUESTIONS])

                async def search(number: int) -> None:
                    await plugin.search(scope, asked[number % QUESTIONS])

                async def rerank(number: int) -> None:
                    evidence = Evidence(retrieval_of(*found[number % QUESTIONS]))
                    ranked = Ranked(evidence, RankingMode.RERANK, calibration)
                    similarities = [ranked[place].similarity for place in range(HITS)]
                    cut(similarities, THRESHOLD, CutoffRule.RELATIVE, RankingMode.RERANK)

                works = {"embed": embed, "search_1000": search, "rerank_100": rerank}
                seconds = await in_turn(works, ROUNDS, warmup=QUESTIONS)
        finally:
            await torch.close()
    return _figures({name: float(np.median(taken)) * 1000 for name, taken in seconds.items()})


async def _filled(document: Mapping[str, Any], corpus: Corpus, scope: Scope) -> Sequence[str]:
    """Stores the memories; what is embedded of each question."""
    async with MemoryPlugin(Assembly(load_config(document), lambda: BertEmbedder(runtime="torch"))) as plugin:
        for session in corpus.sessions:
            await plugin.remember(scope, session.id, session.turns)
        return [(await plugin.recollect(scope, question.text)).query_text for question in corpus.questions]


async def _candidates(store: MemoryStore, scope: Scope, text: str, ready: Precomputed) -> Found:
    question = read(text)
    statistics = await store.statistics(scope, question.terms)
    names = question.names(statistics)
    vector = await ready.embed_query(question.without(names))
    wanted = CandidateQuery(scope=scope, vector=vector, dense_limit=CANDIDATES)
    return question, names, statistics, await store.candidates(wanted)


def _figures(milliseconds: Mapping[str, float]) -> dict[str, Any]:
    floor = milliseconds["embed"]
    claims = {
        "rerank_100": at_most("rerank of 100", milliseconds["rerank_100"] / floor, MOST_RERANK),
        "search_1000": at_most("search at 1,000", milliseconds["search_1000"] / floor, MOST_SEARCH),
    }
    return {
        "floor": "one embedding of a short text by torch",
        "floor_ms": floor,
        "rounds": ROUNDS,
        **{
            name: {"ms": milliseconds[name], "ratio": claim.value, "target": claim.target, "met": claim.met}
            for name, claim in claims.items()
        },
    }
