"""Fits the similarity scale of a model: `python -m bench.quality.calibrate --data FILE...`.

In dense mode the similarity is (1 + cosine) / 2. For each knot of the scale this finds the support (see
`router_memory.ranking.support`) from which on the rerank's top 5 hold the same share of evidence as the dense top 5
hold from that similarity on, so that one threshold means the same in every mode. Questions are asked of their own
memory and of another user's; the sets count the same. It prints the map as `router_memory.ranking.calibration` has it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.quality.__main__ import Source
from bench.quality.asking import messages
from bench.quality.backend import backend, configuration
from bench.quality.data import load
from bench.quality.measure import askings
from bench.quality.rules import LIMIT
from router_memory import Scope
from router_memory.errors import InvalidRequest, RouterMemoryError
from router_memory.ranking import Evidence, Ranked
from router_memory.types import RankingMode

if TYPE_CHECKING:
    from bench.quality.asking import Asking
    from bench.quality.backend import Opened
    from bench.quality.data import Conversation

__all__ = ["Shares", "fit"]

KNOTS = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90)
"""Similarities the map is fitted at; below few injections differ, above few are left."""

LOWEST, HIGHEST = -1.0, 1.8
"""Support that is mapped to 0 and to 1."""

LEAST_INJECTED = 20
"""Of fewer memories a share says nothing."""

STEP = 0.01
LEAST_STEP = 0.05
"""Knots of the support lie this far apart at least, so that the map is strictly monotone."""

DISCERNIBLE = 0.005
"""Where the rerank's top 5 as a whole hold a larger share, the map begins where leaving some out raises it by this."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Shares:
    """Number and truth of what stood in the top 5 of every question: what would be injected from a number on.

    Attributes:
        numbers: What a threshold is compared with.
        right: Whether the memory is evidence; never so where the question was asked of another user's memory.
    """

    numbers: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def from_on(self, threshold: float) -> float:
        """The share of evidence among those with this number or more, in [0, 1]; NaN where they are too few."""
        over = np.array(self.numbers) >= threshold
        return float(np.array(self.right)[over].mean()) if over.sum() >= LEAST_INJECTED else float("nan")


def fit(sets: Sequence[tuple[Shares, Shares]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The knots of support and of similarity; of the latter those that enough memories of every set reach.

    Args:
        sets: For each set of conversations, cosine-based similarities of the dense order and support of the rerank's.

    Raises:
        InvalidRequest: Too little was injected to fit anything.
    """
    grid = np.arange(LOWEST, HIGHEST, STEP)
    reached = np.array([_mean([rerank.from_on(number) for _, rerank in sets]) for number in grid])
    grid, reached = grid[~np.isnan(reached)], np.maximum.accumulate(reached[~np.isnan(reached)])
    wanted = {knot: _mean([dense.from_on(knot) for dense, _ in sets]) for knot in KNOTS}
    knots = [knot for knot, share in wanted.items() if not np.isnan(share)]
    if not len(grid) or not knots:
        raise InvalidRequest(f"fewer than {LEAST_INJECTED} memories would be injected: fit on more questions")
    support = [LOWEST]
    for knot in knots:
        place = int(np.searchsorted(reached, max(wanted[knot], reached[0] + DISCERNIBLE)))
        support.append(max(float(grid[min(place, len(grid) - 1)]), support[-1] + LEAST_STEP))
    support.append(max(HIGHEST, support[-1] + LEAST_STEP))
    return tuple(round(number, 2) for number in support), (0.0, *knots, 1.0)


def _mean(shares: Sequence[float]) -> float:
    """NaN where one of them is."""
    return float(np.mean(shares))


async def collect(opened: Opened, conversations: Sequence[Conversation]) -> tuple[Shares, Shares]:
    """What the dense order and the rerank put in front for each question, right or wrong."""
    for conversation in conversations:
        for session, turns in conversation.sessions.items():
            await opened.plugin.remember(Scope(conversation.id), session, turns)
    dense, rerank = Shares(), Shares()
    for asking in askings(opened, conversations):
        if asking.answerable:
            for whose in (asking.own, asking.other):
                if whose is not None:
                    await _add(dense, asking, whose, RankingMode.DENSE)
                    await _add(rerank, asking, whose, RankingMode.RERANK)
        opened.lookups.forget()
    return dense, rerank


async def _add(shares: Shares, asking: Asking, whose: Conversation, mode: RankingMode) -> None:
    ranked = Ranked(Evidence(await asking.retrieval(whose, mode)), mode, asking.lookups.calibration)
    hits = [ranked[place] for place in range(min(LIMIT, len(ranked)))]
    evidence = set(asking.question.evidence) if whose is asking.own else set()
    for hit in hits:
        (message,) = messages([hit], whose)
        shares.numbers.append(sum(hit.support.values()) if hit.support else hit.similarity)
        shares.right.append(message in evidence)
        evidence.discard(message)  # a message in several memories is right once


async def calibrate(sources: Sequence[Source], config: Path, runtime: str | None) -> None:
    """Loads, asks, fits and prints."""
    sets = []
    with backend("embedded") as where:
        for source in sources:
            print(f"{source.name} …", file=sys.stderr, flush=True)
            conversations = list(load(source.path, roles=frozenset(source.roles) or None))
            async with where.opened(configuration(config, runtime=runtime)) as opened:
                sets.append(await collect(opened, conversations))
                embedder = opened.parts.embedder
                fitted_for = f"{embedder.fingerprint}, {embedder.runtime}"
    support, scale = fit(sets)
    print(f"# {fitted_for}; on {', '.join(source.name for source in sources)}")
    print(f"Calibration(\n    support={support},\n    scale={scale},\n)")
    for knot, number in zip(scale[1:-1], support[1:-1], strict=True):
        pairs = (f"{dense.from_on(knot):.3f}/{rerank.from_on(number):.3f}" for dense, rerank in sets)
        print(f"# {knot:.2f}: evidence among what is injected, dense/rerank: {'  '.join(pairs)}")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality.calibrate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", nargs="+", required=True, type=Source.of, metavar="FILE[:ROLE,...]")
    parser.add_argument("--config", default=Path("config/config.yaml"), type=Path)
    parser.add_argument("--runtime", metavar="NAME", help="in place of the configured embedding.runtime")
    arguments = parser.parse_args()
    try:
        asyncio.run(calibrate(arguments.data, arguments.config, arguments.runtime))
    except RouterMemoryError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error


if __name__ == "__main__":
    main()
