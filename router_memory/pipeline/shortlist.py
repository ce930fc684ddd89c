"""From an ordered list to what is returned: filters once, then a cut at any threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

from router_memory.pipeline.inject import OVERHEAD_TOKENS, count_tokens, line_of
from router_memory.pipeline.messages import text_of
from router_memory.ranking import Ranked, Reflection, cut
from router_memory.types import Cut, Dropped, Hit, Recollection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from router_memory.ranking.reflection import Compared
    from router_memory.types import CutoffRule, Message, RankingMode, ReflectionPolicy, Retrieval, Retrieved

__all__ = ["BELOW_SHOWN", "LEAST_HEAD", "MOST_SELECTIONS", "Selection", "Shortlist"]

LEAST_HEAD = 5
"""The cut-off looks at the best `limit` candidates, at least this many: with a limit of 1 or 2 the one in front
may fail the threshold while the next one passes it. Looking further adds more noise than evidence."""

BELOW_SHOWN = 5
"""How many of the best candidates that were not returned are kept to be looked at."""

MOST_SELECTIONS = 8
"""How many selections are remembered of one order: decisions with that many limits, thresholds or rules share it."""

_SELECTIONS = "selections"


@dataclass(frozen=True, slots=True)
class Selection:
    """What one threshold leaves of a shortlist.

    Attributes:
        hits: What is returned, best first.
        cut: The cut-off.
        below: The best that were not returned, at most `BELOW_SHOWN`: those of the head that did not reach the
            threshold, those that reached it when the limit was full, those that were not looked at.
        dropped: What the filters took out although it reached the threshold.
        looked_at: How many of the candidates, the best, the filters and the cut-off looked at.
        admitted: How many of those no filter took out.
    """

    hits: tuple[Hit, ...]
    cut: Cut
    below: tuple[Hit, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    looked_at: int = 0
    admitted: int = 0


class Shortlist:
    """The candidates of one question in order, and the best of them that may be shown: what a threshold then cuts.

    What depends on neither the request's time nor its messages is remembered, and goes with the retrieval: selections
    beside the order they are of, what is known of the memories themselves once for all orders.

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
        self._plain = not visible and reflection.drops_nothing
        self._admitted = None if self._plain else self._admit(self._chooser(visible))
        self._seconds = {**found.seconds, **seconds}
        self._starts = {**found.starts, **starts, "select": began}
        self._filtering = perf_counter() - began

    def select(self, threshold: float, rule: CutoffRule) -> Selection:
        """The best `limit` that may be shown and reach the threshold, within the budget.

        It is remembered where no filter has a say in it.

        Args:
            threshold: The configured one, in [0, 1]; `rule` may raise it.
        """
        if not self._plain:
            return self._select(threshold, rule)
        key = self._limit, threshold, rule
        remembered: dict[object, Selection] = self._ranked.memo.setdefault(_SELECTIONS, {})
        selection = remembered.get(key)
        if selection is None:
            selection = self._select(threshold, rule)
            if len(remembered) < MOST_SELECTIONS:
                remembered[key] = selection
        return selection

    def recollection(self, threshold: float, rule: CutoffRule) -> Recollection:
        """The same with everything that explains it."""
        began = perf_counter()
        selection, retrieval = self.select(threshold, rule), self._found.retrieval
        return Recollection(
            hits=selection.hits,
            cut=selection.cut,
            below=selection.below,
            dropped=selection.dropped,
            candidates=len(self._ranked),
            limit=self._limit,
            looked_at=selection.looked_at,
            admitted=selection.admitted,
            query_text=retrieval.query_text,
            names=tuple(sorted(retrieval.names)),
            clipped=self._clipped,
            seconds={**self._seconds, "select": self._filtering + perf_counter() - began},
            exact=retrieval.exact,
            partial=retrieval.partial,
            cache=self._found.level,
            starts=self._starts,
        )

    def _select(self, threshold: float, rule: CutoffRule) -> Selection:
        if self._admitted is None:
            self._admitted = self._first()
        head, looked_at, filtered = self._admitted
        where = cut([hit.similarity for hit in head], threshold, rule, self._mode)
        passing: list[Hit] = []
        below: list[Hit] = []
        for hit in head:
            (passing if hit.similarity >= where.threshold else below).append(hit)
        chooser = self._chooser()
        hits = chooser.within_budget(passing[: self._limit])
        below += passing[self._limit :]
        end = min(len(self._ranked), looked_at + max(BELOW_SHOWN - len(below), 0))
        below += [self._ranked[index] for index in range(looked_at, end)]
        dropped = (drop for drop in (*filtered, *chooser.dropped) if drop.hit.similarity >= where.threshold)
        return Selection(tuple(hits), where, tuple(below[:BELOW_SHOWN]), tuple(dropped), looked_at, len(head))

    def _chooser(self, visible: Iterable[Message] = ()) -> Reflection:
        known = _known_of(self._found.retrieval)
        return Reflection(
            self._reflection,
            now=self._now,
            visible=map(text_of, visible),
            tokens_of=partial(_tokens_of, known.sizes),
            overhead=OVERHEAD_TOKENS,
            compared=known.compared,
        )

    def _first(self) -> tuple[list[Hit], int, list[Dropped]]:
        """The best, as `_admit` gives them where no filter drops any."""
        place = min(max(self._limit, LEAST_HEAD), len(self._ranked))
        return [self._ranked[index] for index in range(place)], place, []

    def _admit(self, chooser: Reflection) -> tuple[list[Hit], int, list[Dropped]]:
        """The best that no filter drops, how many of the candidates were looked at for them, and what was dropped."""
        if chooser.admits_all:
            return self._first()
        end, wanted = len(self._ranked), max(self._limit, LEAST_HEAD)
        head: list[Hit] = []
        place = 0
        while place < end and len(head) < wanted:
            head = chooser.admit(head, self._ranked[place])
            place += 1
        return head, place, chooser.dropped


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found of the candidates themselves, which no order changes.

    Attributes:
        compared: Which of them are near-duplicates.
        sizes: Of their lines in tokens, by their ids.
    """

    compared: Compared = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


def _known_of(retrieval: Retrieval) -> _Known:
    """What is known of the candidates so far, to be added to."""
    known = retrieval.memo.get(_Known)
    if not isinstance(known, _Known):
        known = retrieval.memo[_Known] = _Known()
    return known


def _tokens_of(sizes: dict[str, int], hit: Hit) -> int:
    """The size of a memory's line in tokens, remembered in `sizes` by its id: one number for each candidate at most."""
    size = sizes.get(hit.record.id)
    if size is None:
        size = sizes[hit.record.id] = count_tokens(line_of(hit))
    return size
