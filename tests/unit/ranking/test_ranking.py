"""Evidence, signals and orders on hand-made candidates."""

from __future__ import annotations

import math

import pytest

from router_memory.ranking import SIGNALS, Evidence, Ranked, calibration_for
from router_memory.types import RankingMode
from tests.unit.ranking.made import candidate, evidence

MINILM = calibration_for("all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2", "torch")


def order(made: Evidence, mode: RankingMode = RankingMode.RERANK) -> list[str]:
    ranked = Ranked(made, mode, MINILM)
    return [ranked[place].record.content for place in range(len(ranked))]


def test_bm25_is_the_formula() -> None:
    """One stem of frequency 2 in a memory of the average length, by hand."""
    made = evidence("tea?", candidate("tea tea milk"), candidate("milk milk sugar"), documents=10)
    idf = math.log(1 + (10 - 1 + 0.5) / (1 + 0.5))
    assert made.bm25.tolist() == pytest.approx([idf * 2 * 1.9 / (2 + 0.9), 0.0])


def test_coverage_is_a_share_of_all_that_was_asked() -> None:
    """A word the user never used lowers the coverage of everything; how often a word stands there does not matter."""
    known = evidence("tea", candidate("tea"), candidate("tea, tea and tea"), candidate("milk"))
    assert known.coverage.tolist() == [1, 1, 0]
    unknown = evidence("tea zeppelin", candidate("tea"), candidate("milk"))
    assert 0 < unknown.coverage[0] < 0.5
    assert evidence("what is this?", candidate("tea")).coverage.tolist() == [0]


def test_a_named_speaker_comes_first() -> None:
    """Who said it counts when the question names somebody who speaks in these memories."""
    said = [candidate("I adopted a cat", speaker="Bob", position=4), candidate("I adopted a cat!", speaker="Ana")]
    assert order(evidence("What did Ana adopt?", *said))[0] == "I adopted a cat!"


def test_a_named_month_comes_first() -> None:
    """When it was said counts when the question names a month."""
    said = [candidate("we hiked there", month=3), candidate("we hiked here", month=5)]
    assert order(evidence("Where did we hike in May?", *said))[0] == "we hiked here"


def test_a_named_day_comes_first_within_its_month() -> None:
    """The rest of the month follows, then everything else."""
    said = [candidate("we swam", month=6), candidate("we rowed", month=5), candidate("we hiked", month=5, day=7)]
    assert order(evidence("What did we do on 7 May?", *said)) == ["we hiked", "we rowed", "we swam"]


def test_what_the_assistant_said_comes_behind() -> None:
    """All else equal."""
    said = [candidate("a ramen bar", speaker="assistant"), candidate("the ramen bar", conversation="d")]
    assert order(evidence("Which ramen bar?", *said))[0] == "the ramen bar"


@pytest.mark.parametrize(
    ("question", "asker", "replies"),
    [
        ("Which ramen bar do you like best?", "Bob", True),
        ("Which ramen bar do you like best?", "Ana", False),
        ("The ramen bar is what I like best.", "Bob", False),
    ],
)
def test_a_reply_is_lifted_by_the_question_of_somebody_else(question: str, asker: str, replies: bool) -> None:
    """Beyond what a neighbour lends: by a question, asked by another."""
    asked = candidate(question, 0.6, speaker=asker, position=1)
    answer = candidate("Menya, hands down", 0.2, speaker="Ana", position=2)
    far = [candidate(f"tea {number}", 0.1, conversation=f"d{number}") for number in range(3)]
    made = evidence("best ramen bar", asked, answer, *far)
    by_name = {signal.name: signal.values(made) for signal in SIGNALS}
    assert bool(by_name["reply"][1] > 0) is replies
    assert not by_name["reply"][[0, 2, 3, 4]].any()
    assert by_name["neighbours"][1] > 0


def test_a_long_memory_neither_needs_nor_lends_context() -> None:
    """A hundred words stand for themselves."""
    long = candidate(
        "Which ramen bar do you like? " + "word " * 100 + "Which ramen bar?", 0.6, speaker="Bob", position=1
    )
    short = candidate("Which ramen bar do you like?", 0.6, speaker="Bob", position=1, conversation="d")
    answers = [candidate(f"Menya {name}", 0.2, speaker="Ana", conversation=name, position=2) for name in "cd"]
    made = evidence("best ramen bar", long, short, *answers)
    for signal in (signal for signal in SIGNALS if signal.name in {"neighbours", "reply"}):
        behind_long, behind_short = signal.values(made)[2:]
        assert 0 <= behind_long < 0.2 * behind_short


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
