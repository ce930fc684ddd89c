"""Users with memories, and questions that nobody asked before."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from bench.stages.corpus import START, Corpus, make_corpus
from router_memory import MemoryPlugin, Scope, Status
from router_memory.backends.bert import BertEmbedder
from router_memory.config import load_config
from router_memory.wiring import Assembly

if TYPE_CHECKING:
    from bench.throughput.settings import Settings

__all__ = ["Asked", "callers", "milliseconds", "new_questions", "opened_plugins"]

_DECISION = "personalized_route"
_DEADLINE_MS = 30_000  # the default would cut those short who wait behind 63 others
_NOW = START + timedelta(days=365)
_ROOT = Path(__file__).parents[2]
_QUESTIONS = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """How one turn of the callers went.

    Attributes:
        a_second: Requests.
        seconds: What each took.
    """

    a_second: float
    seconds: Sequence[float]


def new_questions(seed: int) -> Iterator[str]:
    """Endlessly many, no two alike."""
    texts = [asked.text for asked in make_corpus(_QUESTIONS, questions=_QUESTIONS, seed=seed).questions]
    return (f"{texts[number % len(texts)]} Not trip {number}." for number in itertools.count())


async def callers(plugin: MemoryPlugin, settings: Settings, questions: Iterator[str], count: int) -> Asked:
    """Has so many callers ask for a turn, each again as soon as it has its answer.

    Raises:
        RuntimeError: A request got no memories because of a failure.
    """
    taken: list[float] = []
    began = perf_counter()
    until = began + settings.seconds

    async def caller(number: int) -> None:
        while (asked := perf_counter()) < until:
            outcome = await plugin.on_request(
                decision=_DECISION,
                user_id=_user(number % len(settings.memories)),
                messages=[{"role": "user", "content": next(questions)}],
                conversation_id="now",
                now=_NOW,
            )
            taken.append(perf_counter() - asked)
            if outcome.status is Status.UNAVAILABLE:
                raise RuntimeError(f"{outcome.reason}: {outcome.explain.error}")

    await asyncio.gather(*(caller(number) for number in range(count)))
    return Asked(len(taken) / (perf_counter() - began), taken)


@asynccontextmanager
async def opened_plugins(settings: Settings, runtimes: Sequence[str]) -> AsyncIterator[dict[str, MemoryPlugin]]:
    """One for each runtime, with the same memories in an embedded store of its own, without a cache."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="throughput-bench-")))
        (folder / "filled").mkdir()
        await _fill(settings, runtimes[0], folder / "filled")
        plugins = {}
        for runtime in runtimes:
            shutil.copytree(folder / "filled", folder / runtime)
            plugins[runtime] = await stack.enter_async_context(_plugin(runtime, folder / runtime))
        yield plugins


async def _fill(settings: Settings, runtime: str, folder: Path) -> None:
    async with _plugin(runtime, folder) as plugin:
        for number, memories in enumerate(settings.memories):
            corpus: Corpus = make_corpus(memories, questions=0, seed=settings.seed + number)
            for session in corpus.sessions:
                await plugin.remember(Scope(_user(number)), session.id, session.turns)


def _plugin(runtime: str, folder: Path) -> MemoryPlugin:
    document: dict[str, Any] = yaml.safe_load((_ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    document["global"]["stores"]["memory"] |= {
        "deadline_ms": _DEADLINE_MS,
        "embedded": {"path": str(folder / "memory.db")},
    }
    return MemoryPlugin(Assembly(load_config(document), lambda: BertEmbedder(runtime=runtime)))


def _user(number: int) -> str:
    return f"user-{number}"


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {
        "p50_ms": round(float(np.median(seconds)) * 1e3, 3),
        "p99_ms": round(float(np.percentile(seconds, 99)) * 1e3, 3),
    }
