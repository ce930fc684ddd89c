"""Whole requests of many callers at once beside bare embedders that get as many texts in one batch.

A request is gate, embedding, search, rerank and injection; each question is new, so nothing is remembered. Ours with
the runtime that `auto` takes stand beside sentence-transformers over torch, ours with int8 beside bare int8.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench.claims import Claim, at_least, at_most
from bench.environment import load
from bench.throughput.asking import Asked, callers, milliseconds, new_questions, opened_plugins
from bench.throughput.bare import INT8, TORCH, bare_int8, bare_torch
from bench.throughput.settings import Settings

if TYPE_CHECKING:
    from bench.throughput.bare import Bare

__all__ = ["measure"]

_PAIRS = {"auto": (TORCH, 0.6), "onnx-int8": (INT8, 0.25)}
"""Runtimes of ours, the embedder beside each, and how much of its throughput requests should reach."""
_TAIL = 5.0
_PAUSE_SECONDS = 0.1


async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
    """Requests a second and texts a second, in turn, for each number of callers."""
    bare = {TORCH: bare_torch(), INT8: bare_int8()}
    questions = new_questions(settings.seed)
    document: dict[str, Any] = {}
    claims: list[Claim] = []
    async with opened_plugins(settings, list(_PAIRS)) as plugins:
        for count in settings.callers:
            requests: dict[str, list[Asked]] = {name: [] for name in plugins}
            texts: dict[str, list[float]] = {name: [] for name in bare}
            for turn in range(-1, settings.rounds):
                for name, plugin in plugins.items():
                    await asyncio.sleep(_PAUSE_SECONDS)
                    asked = await callers(plugin, settings, questions, count)
                    await asyncio.sleep(_PAUSE_SECONDS)
                    other = _PAIRS[name][0]
                    rate = _texts_a_second(bare[other], questions, count, settings.seconds)
                    if turn >= 0:
                        requests[name].append(asked)
                        texts[other].append(rate)
            document[str(count)] = {
                "load": load(),
                **{name: _figures(turns) for name, turns in requests.items()},
                **{name: {"a_second": round(median(rates), 2)} for name, rates in texts.items()},
            }
            for name, (other, least) in _PAIRS.items():
                pairs = zip(requests[name], texts[other], strict=True)
                value = round(median(asked.a_second / rate for asked, rate in pairs), 4)
                claims.append(at_least(f"{count} callers, {name}, requests / texts of {other}", value, least))
                tail = document[str(count)][name]
                value = round(tail["p99_ms"] / tail["p50_ms"], 3)
                claims.append(at_most(f"{count} callers, {name}, p99 / p50", value, _TAIL))
    return document, claims


def _texts_a_second(encode: Bare, questions: Iterator[str], count: int, seconds: float) -> float:
    done, began = 0, perf_counter()
    while perf_counter() - began < seconds:
        encode(list(itertools.islice(questions, count)))
        done += count
    return done / (perf_counter() - began)


def _figures(turns: list[Asked]) -> dict[str, float]:
    every = [seconds for asked in turns for seconds in asked.seconds]
    return {"a_second": round(median(asked.a_second for asked in turns), 2), **milliseconds(every)}
