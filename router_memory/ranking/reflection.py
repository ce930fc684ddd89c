"""What is dropped between the cut-off and the injection: blocked, visible, near-duplicate, over limit or budget."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from datetime import datetime

from router_memory.types import Dropped, Hit, ReflectionAlgorithm, ReflectionPolicy

__all__ = ["COMPARED_CHARS", "MOST_REMEMBERED", "Compared", "Reflection", "normalised", "shows"]

COMPARED_CHARS = 2000
"""Near-duplicates are told by this much of their text."""

MOST_REMEMBERED = 32
"""Comparisons that are remembered: those of the best thirty-two in one order, or of ten in each of three."""

Compared = MutableMapping[tuple[object, ...], int | None]
"""Which of some memories another one is a near-duplicate of, by its place, ``None`` for none: by the threshold, the
other's id, and the ids of those."""

_UNKNOWN = -1
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_DAY = 86_400.0


def normalised(text: str) -> str:
    """A text as it is compared for being visible already: folded case, single spaces, markup not escaped."""
    return " ".join(text.split()).casefold().replace("&lt;", "<").replace("&gt;", ">")


def shows(text: str, content: str) -> bool:
    """Whether a normalised text holds a normalised content as whole words."""
    at = text.find(content)
    while at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(content) : at + len(content) + 1]
        if not (before.isalnum() and content[:1].isalnum()) and not (after.isalnum() and content[-1:].isalnum()):
            return True
        at = text.find(content, at + 1)
    return False


class Reflection:
    """Drops what should not be injected, keeping the order of the rest.

    What the request shows already, and what matches a block pattern, is dropped under every algorithm;
    near-duplicates and the budget do not count with ``noop``. `dropped` says what went and why.

    Args:
        policy: Which filters and how strict.
        now: The request's time, which recency counts from.
        visible: Texts the request shows already.
        tokens_of: Size of a memory's line in tokens.
        overhead: Tokens the block needs besides its lines.
        compared: What was found of the same memories before; there are `MOST_REMEMBERED` in it at most.
    """

    def __init__(
        self,
        policy: ReflectionPolicy,
        *,
        now: datetime,
        visible: Iterable[str],
        tokens_of: Callable[[Hit], int],
        overhead: int,
        compared: Compared | None = None,
    ) -> None:
        self._policy = policy
        self._filters = policy.algorithm is not ReflectionAlgorithm.NOOP
        self._now = now
        self._shown = visible
        self._normalised: tuple[str, ...] | None = None
        self._tokens_of = tokens_of
        self._overhead = overhead
        self._words: dict[str, frozenset[str]] = {}
        self._compared: Compared = {} if compared is None else compared
        self.dropped: list[Dropped] = []

    @property
    def _visible(self) -> tuple[str, ...]:
        """Made once there is a hit to compare: a long history takes milliseconds."""
        if self._normalised is None:
            self._normalised = tuple(normalised(text) for text in self._shown if text)
        return self._normalised

    @property
    def admits_all(self) -> bool:
        """Whether no hit can be dropped for what it says: there is no filter, no pattern and nothing to compare."""
        return self._policy.drops_nothing and not self._visible

    def admit(self, admitted: list[Hit], hit: Hit) -> list[Hit]:
        """The admitted hits with the next best one, unless it is visible, blocked or a near-duplicate."""
        if self._is_visible(hit):
            return self._without(admitted, hit, "already in the request")
        patterns = self._policy.block_patterns
        if patterns and any(pattern.search(hit.record.content) for pattern in patterns):
            return self._without(admitted, hit, "matches a block pattern")
        if not self._filters:
            return [*admitted, hit]
        twin = self._twin(admitted, hit)
        if twin is None:
            return [*admitted, hit]
        newest_wins = self._policy.algorithm is ReflectionAlgorithm.RECENCY_SEMANTIC
        if newest_wins and hit.record.created_at > admitted[twin].record.created_at:
            swapped = [*admitted[:twin], hit, *admitted[twin + 1 :]]
            return self._without(swapped, admitted[twin], "near-duplicate")
        return self._without(admitted, hit, "near-duplicate")

    def within_budget(self, hits: Sequence[Hit]) -> list[Hit]:
        """The best hit, then those that fit the token budget, taken by similarity × 2^(-age / half-life)."""
        if not hits or not self._filters:
            return list(hits)
        sizes = {hit.record.id: self._tokens_of(hit) for hit in hits}
        left = self._policy.max_inject_tokens - self._overhead
        if sum(sizes[hit.record.id] for hit in hits) <= left:
            return list(hits)
        left -= sizes[hits[0].record.id]
        chosen = {hits[0].record.id}
        for hit in sorted(hits[1:], key=self._worth, reverse=True):
            size = sizes[hit.record.id]
            if size <= left:
                left -= size
                chosen.add(hit.record.id)
            else:
                self.dropped.append(Dropped(hit, "over the token budget"))
        return [hit for hit in hits if hit.record.id in chosen]

    def _without(self, admitted: list[Hit], hit: Hit, why: str) -> list[Hit]:
        self.dropped.append(Dropped(hit, why))
        return admitted

    def _is_visible(self, hit: Hit) -> bool:
        if not self._visible:
            return False
        content = normalised(hit.record.content)
        return any(shows(text, content) for text in self._visible)

    def _twin(self, admitted: Sequence[Hit], hit: Hit) -> int | None:
        """The place of the first that the hit is a near-duplicate of, looked up where it was found before.

        It depends on nothing but the memories.
        """
        ids = [other.record.id for other in admitted]
        key = (self._policy.dedup_threshold, hit.record.id, *ids)
        twin = self._compared.get(key, _UNKNOWN)
        if twin != _UNKNOWN:
            return twin
        words, twin = self._words_of(hit), None
        for place, name in enumerate(ids):
            others = self._words.get(name)
            if self._are_alike(words, self._words_of(admitted[place]) if others is None else others):
                twin = place
                break
        if len(self._compared) < MOST_REMEMBERED:
            self._compared[key] = twin
        return twin

    def _are_alike(self, words: frozenset[str], others: frozenset[str]) -> bool:
        """Jaccard similarity of the words at or over the threshold; a negation counts as a word."""
        fewer, more, threshold = len(words), len(others), self._policy.dedup_threshold
        if fewer > more:
            fewer, more = more, fewer
        if more == 0 or fewer < threshold * more:  # the similarity is at most fewer / more
            return False
        shared = len(words & others)
        return shared >= threshold * (fewer + more - shared)

    def _words_of(self, hit: Hit) -> frozenset[str]:
        words = self._words.get(hit.record.id)
        if words is None:
            words = frozenset(map(str.casefold, _WORD.findall(hit.record.content[:COMPARED_CHARS])))
            self._words[hit.record.id] = words
        return words

    def _worth(self, hit: Hit) -> float:
        age = max((self._now - hit.record.created_at).total_seconds() / _DAY, 0.0)
        return hit.similarity * math.exp2(-age / self._policy.recency_decay_days)
