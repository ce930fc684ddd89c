"""What is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["SEED", "Settings"]

SEED = 20260301


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers of one run.

    Attributes:
        seed: Of everything that is generated.
        memories: Of each user; so many users there are.
        questions: Different ones drawn for each user.
        callers: How many ask at the same time, each again as soon as it has its answer: one measurement for each.
        rounds: Turns of each contestant.
        seconds: Of one turn of the callers.
        streak: Single queries in one turn.
        single_rounds: Turns of each contestant at single queries.
        passages: Embedded at once, in one turn of ingest.
    """

    seed: int = SEED
    memories: tuple[int, ...] = (100, 100, 200, 200, 400, 400, 1_000, 1_000)
    questions: int = 100
    callers: tuple[int, ...] = (1, 8, 64)
    rounds: int = 7
    seconds: float = 3.0
    streak: int = 20
    single_rounds: int = 40
    passages: int = 1_000

    def quick(self) -> Settings:
        """The same with fewer and shorter turns and fewer memories."""
        return replace(self, memories=(100, 200, 400), rounds=3, seconds=1.5, streak=10, single_rounds=12, passages=200)
