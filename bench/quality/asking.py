"""One question, asked of its own user's memory and of another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from router_memory.types import Scope

if TYPE_CHECKING:
    from bench.quality.bootstrap import Bootstrap
    from bench.quality.data import Conversation, Question
    from bench.quality.lookups import Lookups
    from router_memory import MemoryPlugin
    from router_memory.types import CutoffRule, Hit, RankingMode, Retrieval

__all__ = ["Asking", "Part", "messages"]

SKIPPED_CATEGORY = "5"
"""LoCoMo's adversarial questions: nothing should be injected."""


class Part(Protocol):
    """A table of the benchmark, filled question by question."""

    async def ask(self, asking: Asking) -> None:
        """Takes in one question."""
        ...

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """What it came to, JSON-compatible."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """A question and the memories it is asked of.

    Attributes:
        plugin: Its searches go through `lookups`.
        own: Whose question it is.
        other: Somebody else, for the negative; ``None`` where the file holds one conversation.
    """

    plugin: MemoryPlugin
    lookups: Lookups
    question: Question
    own: Conversation
    other: Conversation | None

    @property
    def answerable(self) -> bool:
        """Whether it has evidence; else nothing should be injected."""
        return self.question.answerable and self.question.category != SKIPPED_CATEGORY

    async def search(
        self,
        whose: Conversation,
        *,
        limit: int,
        threshold: float,
        mode: RankingMode | None = None,
        cutoff: CutoffRule | None = None,
    ) -> list[str]:
        """The messages that a search finds, best first; what is ``None`` is as configured."""
        found = await self.plugin.recollect(
            Scope(whose.id), self.question.text, limit=limit, threshold=threshold, mode=mode, cutoff=cutoff
        )
        return messages(found.hits, whose)

    async def retrieval(self, whose: Conversation, mode: RankingMode) -> Retrieval:
        """What the product ranks in this mode."""
        await self.search(whose, limit=1, threshold=0.0, mode=mode)
        return self.lookups.latest

    async def nearest(self, whose: Conversation, *, names_out: bool) -> Retrieval:
        """See `Lookups.nearest`."""
        return await self.lookups.nearest(Scope(whose.id), self.question.text, names_out=names_out)


def messages(hits: Sequence[Hit], whose: Conversation) -> list[str]:
    """The messages that memories are of, in order; one that is in several memories stands once."""
    places = ((hit.record.conversation_id or "", hit.record.position) for hit in hits)
    return list(dict.fromkeys(message for place in places for message in whose.message_ids[place]))
