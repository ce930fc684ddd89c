"""Figures worked out by hand."""

from __future__ import annotations

import math

import pytest

from bench.quality.bootstrap import Bootstrap
from bench.quality.metrics import Injection, Tally, means, ranking_figures

EVIDENCE = frozenset({"a", "b"})


def test_ranking_figures_of_one_question() -> None:
    """Evidence on places 2 and 7 of ten."""
    order = ["x", "a", "y", "z", "u", "v", "b", "w"]
    best = 1 + 1 / math.log2(3)
    assert ranking_figures(order, EVIDENCE) == pytest.approx(
        {
            "R@5": 0.5,
            "R@10": 1.0,
            "nDCG@10": (1 / math.log2(3) + 1 / math.log2(8)) / best,
            "MRR": 0.5,
        }
    )


def test_nothing_found_is_zero_and_everything_in_front_is_one() -> None:
    """The ends of the scale."""
    assert set(ranking_figures(["x"], EVIDENCE).values()) == {0.0}
    assert set(ranking_figures(["b", "a"], EVIDENCE).values()) == {1.0}


def test_the_eleventh_place_does_not_count() -> None:
    """Also of a longer list."""
    assert ranking_figures([*"cdefghijkl", "a"], EVIDENCE)["MRR"] == 0.0


def test_more_evidence_than_places_can_reach_a_full_ndcg() -> None:
    """The ideal list is cut at ten as well."""
    evidence = frozenset(str(number) for number in range(20))
    figures = ranking_figures([str(number) for number in range(10)], evidence)
    assert figures["nDCG@10"] == pytest.approx(1.0)
    assert figures["R@10"] == 0.5


def test_means_hold_number_and_intervals() -> None:
    """Two questions, one perfect and one missed."""
    found = means([ranking_figures(["a", "b"], EVIDENCE), ranking_figures([], EVIDENCE)], Bootstrap(1))
    assert (found["R@10"], found["n"]) == (0.5, 2)
    assert found["confidence_95"]["R@10"] == (0.0, 1.0)
    assert means([], Bootstrap(1)) == {"n": 0}


def test_a_message_in_several_memories_counts_once() -> None:
    """A long one is stored in pieces."""
    assert Injection.of(["a", "a", "x"], EVIDENCE) == Injection(injected=2, right=1, evidence=2)


@pytest.fixture
def tally() -> Tally:
    """Three questions with four pieces of evidence, two of four memories right, two on negatives, one of two silent."""
    return Tally(
        positives=[Injection(3, 2, 2), Injection(1, 0, 1), Injection(0, 0, 1)],
        negatives=[Injection(2, 0, 0), Injection(0, 0, 0), Injection(0, 0, 0)],
        unanswerable=[Injection(1, 0, 0), Injection(0, 0, 0)],
    )


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("precision", 2 / 4),
        ("recall", 2 / 4),
        ("F1", 4 / 8),
        ("precision_mix", 2 / 6),
        ("F1mix", 4 / 10),
        ("hit_rate", 1 / 3),
        ("silence", 2 / 3),
        ("BA", (1 / 3 + 2 / 3) / 2),
        ("abstention", 1 / 2),
        ("injected", 4),
        ("unanswerable", 2),
    ],
)
def test_injection_figures(tally: Tally, figure: str, value: float) -> None:
    """Micro averages, negatives, abstention."""
    assert tally.figures()[figure] == pytest.approx(value)


def test_injection_intervals_hold_the_figures(tally: Tally) -> None:
    """They are drawn from the same sums."""
    figures = tally.figures(Bootstrap(1))
    for name, (low, high) in figures["confidence_95"].items():
        assert low <= figures[name] <= high


def test_what_was_not_asked_has_no_figure() -> None:
    """One conversation has no other user's memory to ask."""
    figures = Tally(positives=[Injection(1, 1, 1)]).figures(Bootstrap(1))
    assert figures["precision"] == 1.0
    assert figures["F1"] == 1.0
    for name in ("F1mix", "BA", "silence", "precision_mix", "abstention"):
        assert figures[name] is None
    assert figures["confidence_95"]["BA"] is None
    assert figures["confidence_95"]["abstention"] is None
