"""One stage timed by turns with the floor, the embedding of a query, so that noise falls on both alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any, TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

from router_memory.protocols import Embedder

__all__ = ["EMBED_SECONDS", "FACTS", "QUICK_ROUNDS", "ROUNDS", "WARMUP", "Stages"]

_T = TypeVar("_T")

ROUNDS = 300
QUICK_ROUNDS = 60
WARMUP = 50
"""Rounds that are not counted: every question once, so that what is decoded on first use is decoded."""

EMBED_SECONDS = "embed_seconds"
"""Key of `extra_info` with the floor's time before each round."""

FACTS = "facts"
"""Key of `extra_info` with what else is to be known of a stage."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The loop that everything runs on, and the floor.

    Attributes:
        loop: Owns embedder and stores.
        embedder: Torch.
        texts: The queries that are embedded, one a round; stages count rounds modulo their number.
        rounds: That are counted.
    """

    loop: asyncio.AbstractEventLoop
    embedder: Embedder
    texts: Sequence[str] = field(repr=False)
    rounds: int = ROUNDS

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """The result of a coroutine."""
        return self.loop.run_until_complete(work)

    def embed(self, index: int) -> None:
        """Embeds one of the queries."""
        self.run(self.embedder.embed_query(self.texts[index]))

    def measure(self, benchmark: BenchmarkFixture, stage: Callable[[int], object], **facts: float) -> None:
        """Times a stage, each round behind one embedding that is timed by itself.

        Args:
            stage: Is given the number of the query, in [0, len(texts)).
            facts: Go into the document beside the times.
        """
        numbers = count()
        floor: list[float] = []

        def embedding() -> tuple[tuple[int], dict[str, object]]:
            index = next(numbers) % len(self.texts)
            began = perf_counter()
            self.embed(index)
            floor.append(perf_counter() - began)
            return (index,), {}

        benchmark.pedantic(stage, setup=embedding, rounds=self.rounds, warmup_rounds=WARMUP)  # type: ignore[no-untyped-call]  # it has no annotations
        benchmark.extra_info[EMBED_SECONDS] = floor[-self.rounds :]
        benchmark.extra_info[FACTS] = facts
