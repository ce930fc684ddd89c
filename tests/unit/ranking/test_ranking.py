"""Evidence, signals, orders and the similarity scale on hand-made candidates."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.ranking import SIGNALS, Evidence, Ranked, calibration_for, document, read, retrieval_of
from router_memory.ranking.calibration import similarity
from router_memory.types import Candidate, CandidateSet, LexicalStatistics, MemoryRecord, RankingMode, Scope

MINILM = calibration_for("all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2")


def candidate(
    content: str,
    cosine: float = 0.3,
    *,
    speaker: str = "user",
    conversation: str = "c",
    position: int = 0,
    month: int = 1,
    parts: int = 1,
) -> Candidate:
    at = datetime(2026, month, 1, tzinfo=UTC)
    record = MemoryRecord(
        id=content,
        scope=Scope("u"),
        content=content,
        speaker=speaker,
        conversation_id=conversation,
        position=position,
        created_at=at,
        updated_at=at,
    )
    return Candidate(record=record, document=document(content, speaker), cosine=cosine, parts=parts)


def evidence(question: str, *candidates: Candidate, documents: int = 100) -> Evidence:
    frequency: dict[str, int] = {}
    for one in candidates:
        for stem in one.document.stems:
            frequency[stem] = frequency.get(stem, 0) + 1
    length = sum(one.document.length for one in candidates)
    statistics = LexicalStatistics("e", documents, length * documents // max(len(candidates), 1), frequency)
    asked = read(question)
    found = CandidateSet("e", candidates)
    return Evidence(retrieval_of(asked, asked.names(statistics), statistics, found))


def order(made: Evidence, mode: RankingMode = RankingMode.RERANK) -> list[str]:
    ranked = Ranked(made, mode, MINILM)
    return [ranked[place].record.content for place in range(len(ranked))]


def test_bm25_is_the_formula() -> None:
    """One stem of frequency 2 in a memory of the average length, by hand."""
    made = evidence("tea?", candidate("tea tea milk"), candidate("milk milk sugar"), documents=10)
    idf = math.log(1 + (10 - 1 + 0.5) / (1 + 0.5))
    assert made.bm25.tolist() == pytest.approx([idf * 2 * 1.9 / (2 + 0.9), 0.0])


def test_coverage_is_a_share_of_all_that_was_asked() -> None:
    """A word the user never used lowers the coverage of everything."""
    known = evidence("tea", candidate("tea"))
    unknown = evidence("tea zeppelin", candidate("tea"))
    assert 0 < unknown.coverage[0] < known.coverage[0] < 1


def test_a_named_speaker_comes_first() -> None:
    """Who said it counts when the question names somebody who speaks in these memories."""
    said = [candidate("I adopted a cat", speaker="Bob", position=4), candidate("I adopted a cat!", speaker="Ana")]
    assert order(evidence("What did Ana adopt?", *said))[0] == "I adopted a cat!"


def test_a_named_month_comes_first() -> None:
    """When it was said counts when the question names a month."""
    said = [candidate("we hiked there", month=3), candidate("we hiked here", month=5)]
    assert order(evidence("Where did we hike in May?", *said))[0] == "we hiked here"


def test_a_question_for_a_time_prefers_a_memory_that_tells_one() -> None:
    """All else equal."""
    said = [candidate("we moved house quickly"), candidate("we moved house yesterday", conversation="d")]
    assert order(evidence("When did we move house?", *said))[0] == "we moved house yesterday"


def test_an_answer_next_to_its_question_is_lifted() -> None:
    """A turn without any matching word is found by its neighbour."""
    asked = candidate("which restaurant serves the best ramen", 0.6, position=1)
    answer = candidate("Menya, hands down", 0.2, position=2)
    elsewhere = candidate("Porto, hands up", 0.2, conversation="other", position=2)
    found = order(evidence("best ramen restaurant", elsewhere, asked, answer))
    assert found == [asked.record.content, answer.record.content, elsewhere.record.content]


def test_many_parts_are_held_against_a_memory() -> None:
    """The best of many parts is high by chance."""
    long, short = candidate("long", 0.4, parts=12), candidate("short", 0.4)
    assert order(evidence("anything", long, short)) == ["short", "long"]
    assert order(evidence("anything", long, short), RankingMode.DENSE) == ["short", "long"]


@pytest.mark.parametrize("mode", list(RankingMode))
def test_every_mode_orders_dense_evidence(mode: RankingMode) -> None:
    """Nearer is better when no word matches."""
    assert order(evidence("zzz", candidate("far", 0.1), candidate("near", 0.8)), mode) == ["near", "far"]


@pytest.mark.parametrize("mode", [RankingMode.RERANK, RankingMode.WEIGHTED, RankingMode.RRF])
def test_every_hybrid_mode_uses_words(mode: RankingMode) -> None:
    """At equal cosine the match wins."""
    made = evidence("quokka", candidate("nothing to see", 0.4), candidate("a quokka smiles", 0.4))
    assert order(made, mode)[0] == "a quokka smiles"


@pytest.mark.parametrize("mode", list(RankingMode))
def test_contributions_add_up_to_the_score(mode: RankingMode) -> None:
    """What `explain` shows is all there is."""
    made = evidence("When did Ana eat ramen in May?", candidate("ramen", 0.4, speaker="Ana"), candidate("tea", 0.2))
    ranked = Ranked(made, mode, MINILM)
    for place in range(len(ranked)):
        assert sum(ranked[place].signals.values()) == pytest.approx(ranked[place].score)


@pytest.mark.parametrize("mode", list(RankingMode))
def test_no_candidates_rank_to_nothing(mode: RankingMode) -> None:
    """In every mode."""
    assert len(Ranked(evidence("x"), mode, MINILM)) == 0


def test_signal_names_are_unique() -> None:
    """They are keys of `Hit.signals`."""
    assert len({signal.name for signal in SIGNALS}) == len(SIGNALS)


@pytest.mark.parametrize("cosine", [-1.0, -0.2, 0.0, 0.4, 1.0])
def test_the_dense_scale_is_half_of_one_plus_cosine(cosine: float) -> None:
    """0.70 means a cosine of 0.40, in every backend (reference defect 16)."""
    made = evidence("x", candidate("y", cosine))
    assert similarity(made, RankingMode.DENSE, MINILM).tolist() == pytest.approx([(1 + cosine) / 2])


@given(st.lists(st.floats(-1, 2), min_size=2, max_size=20))
def test_the_hybrid_map_is_monotone_and_stays_in_the_scale(totals: list[float]) -> None:
    """More evidence never lowers the similarity."""
    mapped = np.interp(sorted(totals), MINILM.evidence, MINILM.scale)
    assert all(np.diff(mapped) >= 0)
    assert 0 <= mapped[0] <= mapped[-1] <= 1


def test_an_unknown_model_gets_a_map_that_says_it_was_not_fitted() -> None:
    """Thresholds of the hybrid modes are rough there."""
    assert MINILM.fitted
    assert not calibration_for("all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-other-prefixes").fitted
    assert not calibration_for("some-other-model/768/abc").fitted
