"""What is asked, of whose memory, and what ought to come of it."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from router_memory.types import Scope

__all__ = ["Case", "Kind", "sampled"]

_T = TypeVar("_T")


class Kind(StrEnum):
    """What ought to come of a question."""

    ANSWERABLE = "answerable"
    """Its relevant memories are known."""
    UNANSWERABLE = "unanswerable"
    """Nothing in this memory answers it: nothing should be injected."""
    UNLABELLED = "unlabelled"
    """Nobody has said."""
    OTHERS = "others"
    """It is somebody else's question: nothing should be injected."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question.

    Attributes:
        scope: Whose memory it is asked of.
        query: The user's words.
        kind: What ought to come of it.
        relevant: Keys of what should be injected; empty unless it is answerable.
    """

    scope: Scope
    query: str
    kind: Kind
    relevant: frozenset[Hashable] = frozenset()


def sampled(cases: Sequence[_T], size: int | None, seed: int) -> list[_T]:
    """At most `size` of them in their order, drawn by the seed; all of them without a size."""
    if size is None or size >= len(cases):
        return list(cases)
    chosen = random.Random(seed).sample(range(len(cases)), size)  # noqa: S311 - a sample, no secret
    return [cases[index] for index in sorted(chosen)]
