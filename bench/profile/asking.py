"""One user's requests on the embedded store, sampled and not, in turn."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import yaml

from bench.claims import Claim, at_most
from bench.environment import load
from bench.profile.sampler import Sampler
from bench.profile.stacks import ROOMS, Stack, folded, room
from bench.stages.corpus import START, make_corpus
from router_memory import MemoryPlugin, Scope, Status
from router_memory.backends.bert import BertEmbedder
from router_memory.config import load_config
from router_memory.wiring import Assembly

if TYPE_CHECKING:
    from bench.profile.settings import Settings
    from router_memory.types import CacheLevel

__all__ = ["figures", "opened_plugin", "request", "sampled"]

_CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
_USER = "priya"
_NOW = START + timedelta(days=365)
_DEADLINE_MS = 10_000
"""None, in effect: a slow request must count and not be cut short."""
_OVERHEAD = 1.2
_LEAST = 0.003
_TOP = 10


@asynccontextmanager
async def opened_plugin(settings: Settings) -> AsyncIterator[tuple[MemoryPlugin, BertEmbedder]]:
    """The default configuration with level 1 of the cache and the user's memories, in a file of its own."""
    document: dict[str, Any] = yaml.safe_load(_CONFIG.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="profile-bench-") as folder:
        document["global"]["stores"]["memory"] |= {
            "deadline_ms": _DEADLINE_MS,
            "embedded": {"path": str(Path(folder) / "memory.db")},
            "redis_cache": {"enabled": True},
        }
        embedder = BertEmbedder()
        async with MemoryPlugin(Assembly(load_config(document), lambda: embedder)) as plugin:
            for session in make_corpus(settings.memories, questions=0, seed=settings.seed).sessions:
                await plugin.remember(Scope(_USER), session.id, session.turns)
            yield plugin, embedder


async def request(plugin: MemoryPlugin, question: str, level: CacheLevel) -> None:
    """One chat request.

    Raises:
        RuntimeError: It was answered by something else than `level`.
    """
    outcome = await plugin.on_request(
        decision="personalized_route",
        user_id=_USER,
        messages=[{"role": "user", "content": question}],
        conversation_id="now",
        now=_NOW,
    )
    found = outcome.explain.recollection
    if outcome.status is Status.UNAVAILABLE or found is None:
        raise RuntimeError(f"{outcome.reason}: {outcome.explain.error}")
    if found.cache is not level:
        raise RuntimeError(f"answered by {found.cache}, not by {level}")


async def sampled(
    name: str, plugin: MemoryPlugin, questions: Iterator[str], level: CacheLevel, settings: Settings
) -> tuple[dict[str, Any], list[Claim]]:
    """Asks in turns with the sampler and without it.

    Args:
        name: Of the part, for the claims.
        level: What is to answer.
    """
    sampler = Sampler(settings.seed)

    async def turn() -> float:
        asked, began = 0, perf_counter()
        while perf_counter() - began < settings.seconds:
            await request(plugin, next(questions), level)
            asked += 1
        return (perf_counter() - began) / asked

    await turn()  # warm
    free, watched = [], []
    for _ in range(settings.turns):
        free.append(await turn())
        with sampler.running():
            watched.append(await turn())
    each = median(free) * 1e6
    found = {
        "load": load(),
        "microseconds": round(each, 2),
        "overhead": round(median(with_it / bare for with_it, bare in zip(watched, free, strict=True)), 4),
        **figures(sampler.stacks, each),
        "outside": sampler.outside,
    }
    claims = [Claim(f"{name}: a request, µs", found["microseconds"])]
    claims += [Claim(f"{name}: {one}, µs", of["microseconds"]) for one, of in found["rooms"].items() if of["share"]]
    claims.append(at_most(f"{name}: a request with the sampler / without", found["overhead"], _OVERHEAD))
    return found, claims


def figures(stacks: Mapping[Stack, int], each: float) -> dict[str, Any]:
    """Samples by room and by function, and the folded stacks.

    Args:
        each: What a request takes, in microseconds.
    """
    total = sum(stacks.values())
    rooms = dict.fromkeys(ROOMS, 0)
    functions: dict[str, int] = {}
    for stack, count in stacks.items():
        rooms[room(stack)] += count
        functions[stack[-1]] = functions.get(stack[-1], 0) + count
    top = sorted(functions.items(), key=lambda item: -item[1])[:_TOP]

    def shared(count: int) -> dict[str, float]:
        share = count / total if total else 0.0
        return {"share": round(share, 4), "microseconds": round(share * each, 2)}

    return {
        "samples": total,
        "rooms": {name: shared(count) for name, count in rooms.items()},
        "functions": {name: shared(count) for name, count in top},
        "stacks": folded(stacks, _LEAST),
    }
