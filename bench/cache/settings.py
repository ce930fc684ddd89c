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
        memories: Of the one user whose questions are asked again and again, or are all new.
        drawn: Questions drawn for the hits; those are asked whose candidates are nearest to 100.
        questions: How many are asked.
        hit_rounds: Rounds of each comparison of hits.
        hit_streak: Hits of one kind in one turn.
        miss_rounds: Rounds of the comparison of misses.
        miss_streak: Misses of one kind in one turn, each with what the one before left to do in the background.
        users: Of the agents' day.
        history: Memories each of them has when it begins.
        requests: Of that day, at least.
        replicas: Processes that share level 2 in it.
    """

    seed: int = SEED
    memories: int = 2_000
    drawn: int = 200
    questions: int = 20
    hit_rounds: int = 5_000
    hit_streak: int = 10
    miss_rounds: int = 600
    miss_streak: int = 6
    users: int = 100
    history: int = 40
    requests: int = 6_000
    replicas: int = 3

    def quick(self) -> Settings:
        """The same with fewer rounds, fewer memories where their number does not matter, and a short day."""
        return replace(
            self,
            memories=1_000,
            drawn=60,
            hit_rounds=1_000,
            miss_rounds=120,
            users=20,
            history=20,
            requests=500,
        )
