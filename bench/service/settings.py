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
        memories: Of the one user who asks.
        questions: How many different ones are asked again and again.
        connections: Clients that ask at the same time, each again as soon as it has its answer.
        rounds: Turns of the two servers.
        seconds: Of one server's turn.
        chunks: Of a streamed answer.
    """

    seed: int = SEED
    memories: int = 1_000
    questions: int = 20
    connections: int = 16
    rounds: int = 12
    seconds: float = 2.0
    chunks: int = 20

    def quick(self) -> Settings:
        """The same with shorter turns and fewer of them."""
        return replace(self, memories=300, rounds=5, seconds=1.0)
