"""What is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["DIMENSION", "FINGERPRINT", "PER_USER", "SEED", "Settings"]

SEED = 20260301
DIMENSION = 384
FINGERPRINT = "bench/384/none"
PER_USER = 100
"""Memories of each of the many users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers of one run.

    Attributes:
        seed: Of everything that is generated.
        memories: In the file, of all users together or of the one.
        batch: Memories in one call of `add` to the one user; each of many users is stored in one call.
        writers: Calls of `add` under way at once.
        hot_rounds: Searches by users who have just searched.
        cold_rounds: Searches by users of whom nothing is held in memory.
        queries: Questions to the one user whose nearest are known.
        promote_at: Of the one user's store: as the product has it by default, less in a small run.
        scans: How often the one user is searched while there is no graph: each looks at every vector.
        opens: How often each file is opened, in turn.
        floor_memories: Written to a bare SQLite table, to compare rates with.
    """

    seed: int = SEED
    memories: int = 1_000_000
    batch: int = 1_000
    writers: int = 8
    hot_rounds: int = 2_000
    cold_rounds: int = 1_000
    queries: int = 200
    promote_at: int = 20_000
    scans: int = 3
    opens: int = 25
    floor_memories: int = 50_000

    @property
    def users(self) -> int:
        """How many the memories are spread over in the part `users`."""
        return max(1, self.memories // PER_USER)

    def quick(self) -> Settings:
        """The same with 20,000 memories and fewer rounds."""
        return replace(
            self,
            memories=20_000,
            promote_at=5_000,
            hot_rounds=500,
            cold_rounds=150,
            queries=100,
            opens=15,
            floor_memories=5_000,
        )
