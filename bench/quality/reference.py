"""The reference's way, through our own code: dense candidates, weighted rerank, the elbow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.quality.asking import Asking, messages
from bench.quality.lookups import NEAREST
from bench.quality.metrics import Tally, means, ranking_figures
from bench.quality.modes import RANKED
from bench.quality.rules import LIMIT, THRESHOLD, add
from router_memory.ranking import Evidence, Ranked, cut
from router_memory.types import CutoffRule, RankingMode

if TYPE_CHECKING:
    from bench.quality.bootstrap import Bootstrap
    from bench.quality.data import Conversation

__all__ = ["Reference"]

AS_THERE = (
    f"the question as asked is embedded; its {NEAREST} nearest memories and no others are candidates; "
    "0.7 · (1 + cosine)/2 + 0.2 · BM25 scaled from 0 to 1 over the candidates + 0.1 · Jaccard of character 3-grams; "
    "the largest gap among the scores of all candidates cuts, and the score itself is compared with 0.70"
)
NOT_AS_THERE = (
    "BM25 is ours: stemmed, k1 .9 and b .4, on the statistics of all of the user's memories, where the reference takes "
    "words as they are, k1 1.2 and b .75, on the candidates; it takes 40 candidates for 5 results; long memories are "
    "embedded in parts; speakers' names are not part of the text"
)


class Reference:
    """Ranking and injection figures of the reference's way. Implements `Part`."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []
        self._tally = Tally()

    async def ask(self, asking: Asking) -> None:
        """See `Part.ask`."""
        if asking.answerable:
            ranked = await _ranked(asking, asking.own)
            found = messages([ranked[place] for place in range(min(RANKED, len(ranked)))], asking.own)
            self._rows.append(ranking_figures(found, asking.question.evidence))
        await add(self._tally, asking, _injected)

    def figures(self, bootstrap: Bootstrap) -> dict[str, Any]:
        """See `Part.figures`."""
        return {
            "as_in_the_reference": AS_THERE,
            "not_as_in_the_reference": NOT_AS_THERE,
            **means(self._rows, bootstrap),
            "injection": self._tally.figures(bootstrap),
        }


async def _ranked(asking: Asking, whose: Conversation) -> Ranked:
    evidence = Evidence(await asking.nearest(whose, names_out=False))
    return Ranked(evidence, RankingMode.WEIGHTED, asking.lookups.calibration)


async def _injected(asking: Asking, whose: Conversation) -> list[str]:
    ranked = await _ranked(asking, whose)
    hits = [ranked[place] for place in range(len(ranked))]
    where = cut([hit.score for hit in hits], THRESHOLD, CutoffRule.ELBOW, RankingMode.WEIGHTED)
    return messages([hit for hit in hits if hit.score >= where.threshold][:LIMIT], whose)
