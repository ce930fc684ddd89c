"""The other processes that serve the same address, as one of them sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Alone", "Answer", "Colleagues", "ReloadResult"]

Answer = Callable[[], Awaitable[Mapping[str, Any]]]
"""Gives this process's part of a topic."""


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What loading the configuration anew did.

    Attributes:
        generation: The number of the configuration that is served now.
        changed: Key paths whose values differ from before, sorted; no values, for they may be secrets.
        needs_restart: Key paths whose values differ from those at the start, and hold from the next one only.
        warnings: What the configuration asks for that has no effect.
        workers: How many processes took it.
    """

    generation: int
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]
    warnings: tuple[str, ...]
    workers: int


class Colleagues(Protocol):
    """All processes of one service, this one included."""

    async def reload(self) -> ReloadResult:
        """Loads the configuration anew in every process, or in none.

        Raises:
            ConfigError: It is wrong. Every process goes on with the one it has.
            RouterMemoryError: A process could not open it. The same.
        """
        ...

    async def gather(self, topic: str) -> list[Mapping[str, Any]]:
        """What every process has to say on a topic, such as ``state`` or ``events``; one that is late is left out."""
        ...


class Alone:
    """A process without others, for tests and for embedding the application in another one.

    Args:
        answers: This process's part of each topic.
        reload: Loads the configuration anew in this process.
    """

    def __init__(self, answers: Mapping[str, Answer], reload: Callable[[], Awaitable[ReloadResult]]) -> None:
        self._answers = answers
        self._reload = reload

    async def reload(self) -> ReloadResult:
        """See `Colleagues.reload`."""
        return await self._reload()

    async def gather(self, topic: str) -> list[Mapping[str, Any]]:
        """This process's part alone; nothing on a topic it does not know."""
        answer = self._answers.get(topic)
        return [] if answer is None else [await answer()]
