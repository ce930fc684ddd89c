"""What is injected under several rules, so that the configured one has something to be compared with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.quality.asking import Asking, messages
from bench.quality.lookups import NEAREST
from bench.quality.metrics import Injection, Tally
from router_memory.ranking import Evidence, Ranked, cut
from router_memory.types import CutoffRule, RankingMode

if TYPE_CHECKING:
    from bench.quality.bootstrap import Bootstrap
    from bench.quality.data import Conversation
    from router_memory.types import Hit

__all__ = ["CONFIGURED", "LIMIT", "THRESHOLD", "Rules", "add"]

LIMIT = 5
THRESHOLD = 0.70
"""What the injection figures are taken at."""

CONFIGURED = "configured"
COSINE = 0.70

SWEPT = tuple(hundredth / 100 for hundredth in range(20, 91))
"""Cosines that the best fixed one is looked for among."""

Chosen = Sequence[tuple[str, float]]
"""Messages with the number that a threshold is compared with."""


@dataclass(slots=True)
class _Rule:
    """One way to choose what is injected.

    Attributes:
        note: What it is, for a reader of the figures.
        choose: The messages of one memory.
    """

    note: str
    choose: Callable[[Asking, Conversation], Awaitable[list[str]]]
    tally: Tally = field(default_factory=Tally)


class Rules:
    """Injection figures of each rule. Implements `Part`.

    Args:
        mode: Of the rules that are the product's; ``None`` takes the configured one.
    """

    def __init__(self, mode: RankingMode | None = None) -> None:
        self._rules = {
            CONFIGURED: _searched("as configured, at a threshold of 0.70", mode),
            "fixed": _searched("the configured order, everything from 0.70 on", mode, CutoffRule.FIXED),
            "elbow": _searched("the configured order, adaptive_rule elbow at 0.70", mode, CutoffRule.ELBOW),
            "dense": _searched("hybrid_search off, as configured at 0.70", RankingMode.DENSE),
            "dense, elbow": _searched("hybrid_search off, elbow at 0.70", RankingMode.DENSE, CutoffRule.ELBOW),
            "cosine gap": _Rule(
                f"the largest gap among the {NEAREST} cosines to the question as asked, no threshold", _gap
            ),
        }
        self._cosines = {
            "names out": _Cosines("the question without speakers' names, as the product embeds it", names_out=True),
            "as asked": _Cosines("the question as asked", names_out=False),
        }

    async def ask(self, asking: Asking) -> None:
        """See `Part.ask`."""
        for rule in self._rules.values():
            await add(rule.tally, asking, rule.choose)
        for cosines in self._cosines.values():
            await cosines.ask(asking)

    def tally(self, name: str) -> Tally:
        """What one rule injected."""
        return self._rules[name].tally

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """See `Part.figures`."""
        figures = {name: {"note": rule.note, **rule.tally.figures(bootstrap)} for name, rule in self._rules.items()}
        for form, cosines in self._cosines.items():
            for name, found in cosines.figures(bootstrap).items():
                figures[f"{name}, {form}"] = found
        return figures


class _Cosines:
    """The literal cosine, at one threshold for all questions."""

    def __init__(self, note: str, *, names_out: bool) -> None:
        self._note = note
        self._names_out = names_out
        self._positives: list[tuple[Chosen, frozenset[str]]] = []
        self._negatives: list[Chosen] = []
        self._unanswerable: list[Chosen] = []

    async def ask(self, asking: Asking) -> None:
        own = await self._best(asking, asking.own)
        if not asking.answerable:
            self._unanswerable.append(own)
            return
        self._positives.append((own, asking.question.evidence))
        if asking.other is not None:
            self._negatives.append(await self._best(asking, asking.other))

    def figures(self, bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
        tallies = {threshold: self._at(threshold) for threshold in SWEPT}
        found = {f"cosine ≥ {COSINE:.2f}": {"note": self._note, **self._at(COSINE).figures(bootstrap)}}
        for name in ("F1mix", "BA"):
            best = max(SWEPT, key=lambda threshold: tallies[threshold].figures()[name] or 0.0)
            found[f"best cosine by {name}"] = {
                "note": f"{self._note}; the threshold with the highest {name} on this very set",
                "threshold": best,
                **tallies[best].figures(bootstrap),
            }
        return found

    async def _best(self, asking: Asking, whose: Conversation) -> Chosen:
        hits = _by_cosine(asking, await asking.nearest(whose, names_out=self._names_out), LIMIT)
        return [(messages([hit], whose)[0], hit.cosine) for hit in hits]

    def _at(self, threshold: float) -> Tally:
        def over(chosen: Chosen) -> Iterable[str]:
            return (message for message, cosine in chosen if cosine >= threshold)

        return Tally(
            [Injection.of(over(chosen), evidence) for chosen, evidence in self._positives],
            [Injection.of(over(chosen)) for chosen in self._negatives],
            [Injection.of(over(chosen)) for chosen in self._unanswerable],
        )


async def add(tally: Tally, asking: Asking, choose: Callable[[Asking, Conversation], Awaitable[list[str]]]) -> None:
    """Adds what a rule injects for one question, and for its negative."""
    own = await choose(asking, asking.own)
    if not asking.answerable:
        tally.unanswerable.append(Injection.of(own))
        return
    tally.positives.append(Injection.of(own, asking.question.evidence))
    if asking.other is not None:
        tally.negatives.append(Injection.of(await choose(asking, asking.other)))


def _searched(note: str, mode: RankingMode | None, cutoff: CutoffRule | None = None) -> _Rule:
    async def choose(asking: Asking, whose: Conversation) -> list[str]:
        return await asking.search(whose, limit=LIMIT, threshold=THRESHOLD, mode=mode, cutoff=cutoff)

    return _Rule(note, choose)


async def _gap(asking: Asking, whose: Conversation) -> list[str]:
    hits = _by_cosine(asking, await asking.nearest(whose, names_out=False), NEAREST)
    where = cut([hit.cosine for hit in hits], 0.0, CutoffRule.ELBOW, RankingMode.DENSE)
    return messages([hit for hit in hits[:LIMIT] if hit.cosine >= where.threshold], whose)


def _by_cosine(asking: Asking, retrieval: Any, count: int) -> list[Hit]:
    """The best by the cosine alone; the product's dense order takes the number of parts into account."""
    evidence = Evidence(retrieval)
    ranked = Ranked(
        evidence, RankingMode.DENSE, asking.lookups.calibration, order=lambda known: {"cosine": known.cosine}
    )
    return [ranked[place] for place in range(min(count, len(ranked)))]
