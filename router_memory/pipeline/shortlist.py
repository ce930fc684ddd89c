"""From an ordered list to what is returned: filters once, then a cut at any threshold."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.pipeline.inject import OVERHEAD_TOKENS, count_tokens, line_of
from router_memory.pipeline.messages import text_of
from router_memory.ranking import Ranked, Reflection, cut
from router_memory.types import Cut, Dropped, Hit, Recollection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from router_memory.types import CutoffRule, Message, RankingMode, ReflectionPolicy, Retrieved

__all__ = ["Selection", "Shortlist"]

LEAST_HEAD = 5
"""The cut-off looks at the best `limit` candidates, at least this many: with a limit of 1 or 2 the one in front
may fail the threshold while the next one passes it. Looking further adds more noise than evidence."""

BELOW_SHOWN = 5
"""How many of the best candidates that were not returned are kept to be looked at."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What one threshold leaves of a shortlist.

    Attributes:
        hits: What is returned, best first.
        cut: The cut-off.
        failing: Those of the head that did not reach the threshold, best first.
        beyond: Those that reached it when the limit was full, best first.
        over_budget: Those that reached it and have no room in the token budget.
    """

    hits: tuple[Hit, ...]
    cut: Cut
    failing: tuple[Hit, ...]
    beyond: tuple[Hit, ...]
    over_budget: tuple[Dropped, ...]


class Shortlist:
    """The candidates of one question in order, and the best of them that may be shown: what a threshold then cuts.

    Args:
        found: How they were come by.
        ranked: They themselves.
        limit: Most that are returned, ≥ 1.
        mode: How they were ordered.
        reflection: What is dropped.
        visible: The request's messages; what they show already is dropped.
        now: The request's time, for recency.
        clipped: See `Recollection.clipped`.
        seconds: Wall time by stage since `found`.
        starts: When each of them began, on the clock of `time.perf_counter`.
    """

    def __init__(
        self,
        found: Retrieved,
        ranked: Ranked,
        *,
        limit: int,
        mode: RankingMode,
        reflection: ReflectionPolicy,
        visible: Iterable[Message],
        now: datetime,
        clipped: bool,
        seconds: Mapping[str, float],
        starts: Mapping[str, float],
    ) -> None:
        began = perf_counter()
        self._found = found
        self._ranked = ranked
        self._limit = limit
        self._mode = mode
        self._reflection = reflection
        self._now = now
        self._clipped = clipped
        chooser = self._chooser(visible)
        self._head, self._looked_at = self._admitted(chooser)
        self._similarities = [hit.similarity for hit in self._head]
        self._filtered = tuple(chooser.dropped)
        self._seconds = {**found.seconds, **seconds}
        self._starts = {**found.starts, **starts, "select": began}
        self._filtering = perf_counter() - began

    def select(self, threshold: float, rule: CutoffRule) -> Selection:
        """The best `limit` that may be shown and reach the threshold, within the budget.

        Args:
            threshold: The configured one, in [0, 1]; `rule` may raise it.
        """
        where = cut(self._similarities, threshold, rule, self._mode)
        passing: list[Hit] = []
        failing: list[Hit] = []
        for hit in self._head:
            (passing if hit.similarity >= where.threshold else failing).append(hit)
        chooser = self._chooser()
        hits = chooser.within_budget(passing[: self._limit])
        return Selection(tuple(hits), where, tuple(failing), tuple(passing[self._limit :]), tuple(chooser.dropped))

    def recollection(self, threshold: float, rule: CutoffRule) -> Recollection:
        """The same with everything that explains it."""
        began = perf_counter()
        selection = self.select(threshold, rule)
        where = selection.cut
        below = [*selection.failing, *selection.beyond]
        end = min(len(self._ranked), self._looked_at + max(BELOW_SHOWN - len(below), 0))
        below += [self._ranked[index] for index in range(self._looked_at, end)]
        below = below[:BELOW_SHOWN]
        dropped = (*self._filtered, *selection.over_budget)
        retrieval = self._found.retrieval
        return Recollection(
            hits=selection.hits,
            cut=where,
            below=tuple(below),
            dropped=tuple(drop for drop in dropped if drop.hit.similarity >= where.threshold),
            candidates=len(self._ranked),
            limit=self._limit,
            looked_at=self._looked_at,
            admitted=len(self._head),
            query_text=retrieval.query_text,
            names=tuple(sorted(retrieval.names)),
            clipped=self._clipped,
            seconds={**self._seconds, "select": self._filtering + perf_counter() - began},
            exact=retrieval.exact,
            partial=retrieval.partial,
            cache=self._found.level,
            starts=self._starts,
        )

    def _chooser(self, visible: Iterable[Message] = ()) -> Reflection:
        return Reflection(
            self._reflection,
            now=self._now,
            visible=map(text_of, visible),
            tokens_of=lambda hit: count_tokens(line_of(hit)),
            overhead=OVERHEAD_TOKENS,
        )

    def _admitted(self, chooser: Reflection) -> tuple[list[Hit], int]:
        """The best that no filter drops, and how many of the candidates were looked at for them."""
        end, wanted = len(self._ranked), max(self._limit, LEAST_HEAD)
        if chooser.admits_all:
            place = min(wanted, end)
            return [self._ranked[index] for index in range(place)], place
        head: list[Hit] = []
        place = 0
        while place < end and len(head) < wanted:
            head = chooser.admit(head, self._ranked[place])
            place += 1
        return head, place
