"""One question at a time: what `embed_query` takes with each runtime beside sentence-transformers.

torch is not among ours here: it has one number of threads for the whole process, and we would set it for the other too.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

import numpy as np

from bench.claims import Claim, at_least
from bench.environment import load
from bench.throughput.asking import new_questions
from bench.throughput.bare import INT8, TORCH, bare_int8, bare_torch
from bench.throughput.settings import Settings
from router_memory.backends.bert import BertEmbedder

__all__ = ["measure"]

_TARGETS = {"onnx": 3.4, "onnx-int8": 10.0}
_PAUSE_SECONDS = 0.02
"""Between turns, until the threads of the one before no longer spin."""
_WARMUP = 2


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Medians of each, in turn, and what sentence-transformers' is to ours."""
    bare = {TORCH: bare_torch(), INT8: bare_int8()}
    ours = {name: BertEmbedder(runtime=name) for name in _TARGETS}
    questions = new_questions(settings.seed)
    seconds: dict[str, list[float]] = {name: [] for name in (*bare, *ours)}
    try:
        for embedder in ours.values():
            await embedder.open()
        for number in range(-_WARMUP, settings.single_rounds):
            for name in seconds:
                await asyncio.sleep(_PAUSE_SECONDS)
                for _ in range(settings.streak):
                    question = next(questions)
                    began = perf_counter()
                    if name in ours:
                        await ours[name].embed_query(question)
                    else:
                        bare[name]([question])
                    if number >= 0:
                        seconds[name].append(perf_counter() - began)
    finally:
        for embedder in ours.values():
            await embedder.close()
    p50 = {name: float(np.median(taken)) for name, taken in seconds.items()}
    p10 = {name: float(np.percentile(taken, 10)) for name, taken in seconds.items()}
    figures: dict[str, Any] = {
        name: {"p10_ms": round(p10[name] * 1e3, 3), "p50_ms": round(p50[name] * 1e3, 3)} for name in seconds
    }
    figures["load"] = load()
    claims = [
        at_least(f"one question, {TORCH} / {name}, p50", round(p50[TORCH] / p50[name], 3), target)
        for name, target in _TARGETS.items()
    ]
    claims += [
        Claim(f"one question, {TORCH} / {name}, p10", round(p10[TORCH] / p10[name], 3)) for name in (*_TARGETS, INT8)
    ]
    return figures, claims
