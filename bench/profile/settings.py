"""What is sampled, and how long."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["SEED", "Settings"]

SEED = 20260301


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers of one run.

    Attributes:
        seed: Of conversations and questions.
        memories: Of the one user.
        questions: That a hit is asked, in rotation.
        turns: With the sampler; as many without it are taken in turn with them.
        seconds: Of one turn.
    """

    seed: int = SEED
    memories: int = 1_000
    questions: int = 20
    turns: int = 20
    seconds: float = 2.0

    def quick(self) -> Settings:
        """The same with fewer and shorter turns."""
        return replace(self, turns=4, seconds=1.0)
