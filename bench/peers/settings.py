"""What is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["LIMIT", "SEED", "Settings", "Size"]

SEED = 20260301
LIMIT = 10
"""Memories a search gives; recall is taken at it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is stored.

    Attributes:
        memories: In all, ≥ `users`.
        users: Who share them evenly, ≥ 1.
    """

    memories: int
    users: int

    def __str__(self) -> str:
        return f"{self.memories}x{self.users}"

    @classmethod
    def read(cls, text: str) -> Size:
        """From ``20000x200``.

        Raises:
            ValueError: The text is something else, or a user would have no memory.
        """
        memories, users = (int(part) for part in text.split("x"))
        if not 1 <= users <= memories:
            raise ValueError(f"{text}: wanted are memories x users, and at least one memory for each user")
        return cls(memories, users)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The numbers of one run.

    Attributes:
        seed: Of everything that is generated or drawn.
        data: A file of conversations; empty for generated ones.
        whole: Whether a user's memory is a whole conversation of `data`, and not as many messages of one as make the
            number of users right.
        sizes: Each is measured by itself.
        peers: Which products; empty for all.
        questions: Searches of each product at each size, counted ones.
        warm_up: Searches before them.
        singles: Memories added one at a time, to a user who is not asked.
        chunk: Memories handed over at once where a product takes many.
        budget_seconds: For filling one product at one size; what is not stored by then is not measured.
        threads: Of OpenMP in every product; 0 leaves each its own default.
        environments: Folder of the virtual environments.
    """

    seed: int = SEED
    data: str = ""
    whole: bool = False
    sizes: tuple[Size, ...] = (Size(1_000, 20), Size(20_000, 200))
    peers: tuple[str, ...] = ()
    questions: int = 300
    warm_up: int = 20
    singles: int = 100
    chunk: int = 1_000
    budget_seconds: float = 600.0
    threads: int = 0
    environments: str = ""

    def quick(self) -> Settings:
        """The same at the first size alone, with few questions."""
        return replace(self, sizes=self.sizes[:1], questions=60, warm_up=5, singles=20, budget_seconds=60.0)
