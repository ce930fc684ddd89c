"""One set: its conversations stored, its questions asked, its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.quality.ablation import Ablation
from bench.quality.asking import Asking, Part, messages
from bench.quality.metrics import Tally, means, ranking_figures
from bench.quality.modes import RANKED, EqualThresholds, Modes
from bench.quality.reference import Reference
from bench.quality.rules import CONFIGURED, LIMIT, THRESHOLD, Rules, add
from router_memory import Scope
from router_memory.types import RankingMode

if TYPE_CHECKING:
    from bench.quality.backend import Opened
    from bench.quality.bootstrap import Bootstrap
    from bench.quality.data import Conversation

__all__ = ["Wanted", "askings", "measure_set"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured besides the configured pipeline.

    Attributes:
        mode: In place of the configured one; ``None`` keeps it.
        ablate, reference: Whether these parts run.
        bootstrap: Of all intervals.
    """

    bootstrap: Bootstrap
    mode: RankingMode | None = None
    ablate: bool = False
    reference: bool = False


async def measure_set(
    opened: Opened, name: str, conversations: Sequence[Conversation], wanted: Wanted
) -> dict[str, Any]:
    """Stores the conversations, each as one user's memory, and asks every question of them.

    A question is asked of its own user's memory, and of that of the next conversation in the file, the last one's of
    the first: the negative.
    """
    began = perf_counter()
    for conversation in conversations:
        for session, turns in conversation.sessions.items():
            await opened.plugin.remember(Scope(conversation.id), session, turns)
    loaded = perf_counter() - began
    configured, rules = _Configured(wanted.mode), Rules(wanted.mode)
    parts: dict[str, Part] = {"modes": Modes(), "rules": rules, "equal_threshold": EqualThresholds()}
    if wanted.reference:
        parts["reference"] = Reference()
    if wanted.ablate:
        parts["ablation"] = Ablation()
    for asking in askings(opened, conversations):
        await configured.ask(asking)  # first, for its time is taken
        for part in parts.values():
            await part.ask(asking)
        opened.lookups.forget()
    stats = await opened.plugin.stats()
    return {
        "set": name,
        "mode": (wanted.mode or opened.parts.config.policy(None).recall.mode).value,
        **configured.figures(wanted.bootstrap),
        "injection": rules.tally(CONFIGURED).figures(wanted.bootstrap),
        **{title: part.figures(wanted.bootstrap) for title, part in parts.items()},
        "memories": stats.memories,
        "bytes_per_memory": stats.bytes / max(stats.memories, 1),
        "seconds_to_load": loaded,
    }


def askings(opened: Opened, conversations: Sequence[Conversation]) -> list[Asking]:
    """Every question that can be judged: with evidence among what is stored, or known to have no answer."""
    askings = []
    for place, own in enumerate(conversations):
        other = conversations[(place + 1) % len(conversations)]
        for question in own.questions:
            asking = Asking(opened.plugin, opened.lookups, question, own, None if other is own else other)
            if question.evidence or not asking.answerable:
                askings.append(asking)
    return askings


@dataclass(slots=True)
class _Configured:
    """The pipeline as configured: ranking and injection by category, and the time of a search."""

    mode: RankingMode | None
    _rows: list[tuple[str, dict[str, float]]] = field(default_factory=list)
    _tallies: dict[str, Tally] = field(default_factory=dict)
    _seconds: list[tuple[float, float]] = field(default_factory=list)

    async def ask(self, asking: Asking) -> None:
        """See `Part.ask`."""
        category = asking.question.category
        if asking.answerable:
            began = perf_counter()
            found = await asking.plugin.recollect(
                Scope(asking.own.id), asking.question.text, limit=RANKED, threshold=0.0, mode=self.mode
            )
            whole = perf_counter() - began
            self._seconds.append((whole, whole - found.seconds.get("embed", 0.0)))
            order = messages(found.hits, asking.own)
            self._rows.append((category, ranking_figures(order, asking.question.evidence)))
        await add(self._tallies.setdefault(category, Tally()), asking, self._injected)

    async def _injected(self, asking: Asking, whose: Conversation) -> list[str]:
        return await asking.search(whose, limit=LIMIT, threshold=THRESHOLD, mode=self.mode)

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """See `Part.figures`."""
        counts = Counter(category for category, _ in self._rows)
        return {
            **means([row for _, row in self._rows], bootstrap),
            "questions": len(self._rows),
            "categories": {
                category: means([row for kind, row in self._rows if kind == category], bootstrap)
                | {"injection": self._tallies[category].figures()}
                for category in sorted(self._tallies)
                if counts[category] or self._tallies[category].unanswerable
            },
            **self._milliseconds(),
        }

    def _milliseconds(self) -> dict[str, float]:
        if not self._seconds:
            return {}
        whole, without = np.array(self._seconds).T * 1000
        return {
            "ms_per_query_median": float(np.median(whole)),
            "ms_per_query_p95": float(np.percentile(whole, 95)),
            "ms_without_embedding_median": float(np.median(without)),
            "ms_without_embedding_p95": float(np.percentile(without, 95)),
        }
