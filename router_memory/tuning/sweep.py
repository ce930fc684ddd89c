"""What one policy injects at every threshold, counted over many questions. Pure.

Each question is retrieved, ranked and filtered once; `Shortlist.select`, which requests go through, cuts it at each
threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router_memory.pipeline.inject import count_tokens, render
from router_memory.tuning.cases import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from router_memory.pipeline.shortlist import Shortlist
    from router_memory.tuning.cases import Case
    from router_memory.types import CutoffRule, Hit, MemoryRecord

__all__ = ["Point", "Setting", "Sweep", "settings"]

_STEPS = 100
"""Thresholds are tried in hundredths, as fine as anybody writes them into a configuration."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is tried.

    Attributes:
        rule: How the threshold is raised.
        threshold: The configured one, in [0, 1].
    """

    rule: CutoffRule
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The figures of one setting. Shares are in [0, 1], and ``None`` where there is nothing to take a share of.

    Attributes:
        precision: Share of relevant memories among those injected for answerable questions.
        recall: Share of the relevant memories that are injected.
        f1: Harmonic mean of the two, where all that is injected for questions that nothing should be injected for
            counts as wrong too.
        hit_rate: Share of the answerable questions that get a relevant memory.
        silence: Share of the unanswerable and others' questions that get nothing.
        silence_unanswerable, silence_others: The same of each kind.
        balanced: Mean of `hit_rate` and `silence`; without labels, of `injected` and `silence`.
        injected: Share of the users' own questions that get any memory.
        memories, tokens: What the users' own questions get, on average; tokens of the injected block.
    """

    rule: CutoffRule
    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    hit_rate: float | None
    silence: float | None
    silence_unanswerable: float | None
    silence_others: float | None
    balanced: float | None
    injected: float
    memories: float
    tokens: float


@dataclass(slots=True)
class _Counts:
    """Sums over questions, at one setting.

    Attributes:
        wanted, right, found: Relevant memories there are, hits that are relevant, relevant memories among the hits.
        hits, wrong: Memories injected for answerable questions, and for those that should get none.
        asked, silent: Number of questions by kind, and of those that got nothing.
        answered: Answerable questions that got a relevant memory.
        memories, tokens: Injected for the users' own questions.
    """

    wanted: int = 0
    right: int = 0
    found: int = 0
    hits: int = 0
    wrong: int = 0
    answered: int = 0
    memories: int = 0
    tokens: int = 0
    asked: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    silent: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))


def settings(rules: Iterable[CutoffRule], current: Setting) -> tuple[Setting, ...]:
    """Every rule at every hundredth above 0, and the current setting."""
    grid = {Setting(rule, step / _STEPS) for rule in rules for step in range(1, _STEPS + 1)}
    return tuple(sorted(grid | {current}, key=lambda one: (one.rule, one.threshold)))


class Sweep:
    """Counts what each setting injects.

    Args:
        tried: The settings.
        key: What relevant memories are known by.
    """

    def __init__(self, tried: Sequence[Setting], key: Callable[[MemoryRecord], Hashable]) -> None:
        self._counts = {setting: _Counts() for setting in tried}
        self._key = key

    def add(self, case: Case, shortlist: Shortlist) -> None:
        """Cuts the shortlist of a question at every setting and counts what is left."""
        sizes: dict[tuple[str, ...], int] = {}
        for setting, counts in self._counts.items():
            hits = shortlist.select(setting.threshold, setting.rule).hits
            ids = tuple(hit.record.id for hit in hits)
            if ids not in sizes:
                block = render(hits)
                sizes[ids] = count_tokens(block) if block else 0
            self._count(counts, case, hits if sizes[ids] else (), sizes[ids])

    def points(self) -> tuple[Point, ...]:
        """The figures of every setting, in the order of the settings."""
        return tuple(_point(setting, counts) for setting, counts in self._counts.items())

    def _count(self, counts: _Counts, case: Case, hits: Sequence[Hit], tokens: int) -> None:
        counts.asked[case.kind] += 1
        counts.silent[case.kind] += not hits
        if case.kind is not Kind.OTHERS:
            counts.memories += len(hits)
            counts.tokens += tokens
        if case.kind is Kind.ANSWERABLE:
            keys = [self._key(hit.record) for hit in hits]
            found = case.relevant.intersection(keys)
            counts.wanted += len(case.relevant)
            counts.found += len(found)
            counts.right += sum(key in found for key in keys)
            counts.hits += len(hits)
            counts.answered += bool(found)
        elif case.kind is not Kind.UNLABELLED:
            counts.wrong += len(hits)


def _point(setting: Setting, counts: _Counts) -> Point:
    own = sum(number for kind, number in counts.asked.items() if kind is not Kind.OTHERS)
    quiet = sum(number for kind, number in counts.silent.items() if kind is not Kind.OTHERS)
    injected = (own - quiet) / own if own else 0.0
    hit_rate = _share(counts.answered, counts.asked[Kind.ANSWERABLE])
    nobody = (Kind.UNANSWERABLE, Kind.OTHERS)
    silence = _share(sum(counts.silent[kind] for kind in nobody), sum(counts.asked[kind] for kind in nobody))
    served = injected if counts.asked[Kind.UNLABELLED] else hit_rate
    precision, recall = _share(counts.right, counts.hits), _share(counts.found, counts.wanted)
    return Point(
        rule=setting.rule,
        threshold=setting.threshold,
        precision=precision,
        recall=recall,
        f1=None if recall is None else _f1(_share(counts.right, counts.hits + counts.wrong) or 0.0, recall),
        hit_rate=hit_rate,
        silence=silence,
        silence_unanswerable=_share(counts.silent[Kind.UNANSWERABLE], counts.asked[Kind.UNANSWERABLE]),
        silence_others=_share(counts.silent[Kind.OTHERS], counts.asked[Kind.OTHERS]),
        balanced=None if served is None or silence is None else (served + silence) / 2,
        injected=injected,
        memories=counts.memories / own if own else 0.0,
        tokens=counts.tokens / own if own else 0.0,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
