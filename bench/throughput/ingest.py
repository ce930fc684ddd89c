"""Many passages at once beside bare embedders, and what a question waits meanwhile."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import Any

from bench.claims import Claim
from bench.environment import load
from bench.stages.corpus import make_corpus
from bench.throughput.asking import milliseconds, new_questions
from bench.throughput.bare import TORCH, Bare, bare_torch
from bench.throughput.settings import Settings
from router_memory.backends.bert import BertEmbedder

__all__ = ["measure"]

_RUNTIMES = ("onnx", "onnx-int8")
_BATCH = 32  # of sentence-transformers, unless told otherwise
_ASK_SECONDS = 0.02
"""Between two questions while passages are embedded."""


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Passages a second, in turn, of messages as they are imported; then the same with questions in between."""
    corpus = make_corpus(settings.passages * 2, questions=0, seed=settings.seed)
    passages = [turn.content for session in corpus.sessions for turn in session.turns]
    # Every third is three messages long, as some people's are.
    texts = [" ".join(passages[n : n + (3 if n % 3 == 0 else 1)]) for n in range(settings.passages)]
    torch = bare_torch()
    ours = {name: BertEmbedder(runtime=name) for name in _RUNTIMES}
    rates: dict[str, list[float]] = {name: [] for name in (TORCH, *_RUNTIMES)}
    waits: dict[str, list[float]] = {name: [] for name in _RUNTIMES}
    try:
        for embedder in ours.values():
            await embedder.open()
        for _ in range(settings.rounds):
            rates[TORCH].append(_bare_rate(torch, texts))
            for name, embedder in ours.items():
                began = perf_counter()
                await embedder.embed_passages(texts)
                rates[name].append(len(texts) / (perf_counter() - began))
        questions = new_questions(settings.seed)
        for name, embedder in ours.items():
            ingest = asyncio.create_task(embedder.embed_passages(texts))
            while not ingest.done():
                began = perf_counter()
                await embedder.embed_query(next(questions))
                waits[name].append(perf_counter() - began)
                await asyncio.sleep(_ASK_SECONDS)
            await ingest
    finally:
        for embedder in ours.values():
            await embedder.close()
    figures = {
        "load": load(),
        **{name: {"a_second": round(median(found), 2)} for name, found in rates.items()},
        "question_meanwhile": {name: milliseconds(found) for name, found in waits.items()},
    }
    claims = [
        Claim(
            f"passages a second, {name} / {TORCH}",
            round(median(mine / bare for mine, bare in zip(rates[name], rates[TORCH], strict=True)), 3),
        )
        for name in _RUNTIMES
    ]
    return figures, claims


def _bare_rate(encode: Bare, texts: list[str]) -> float:
    """In batches of its usual size, of texts sorted by length, as it sorts them itself."""
    ordered = sorted(texts, key=len, reverse=True)
    began = perf_counter()
    for start in range(0, len(ordered), _BATCH):
        encode(ordered[start : start + _BATCH])
    return len(texts) / (perf_counter() - began)
