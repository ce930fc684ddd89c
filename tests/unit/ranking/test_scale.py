"""Support and the similarity scale on hand-made candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_memory.ranking import Evidence, Ranked, calibration_for
from router_memory.ranking.calibration import dense_similarity
from router_memory.ranking.support import SUPPORT, support
from router_memory.types import RankingMode
from tests.unit.ranking.made import candidate, evidence

MINILM = calibration_for("all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-72e24ed58e431ab2", "torch")


def values(name: str, made: Evidence) -> list[float]:
    (found,) = [one for one in SUPPORT if one.name == name]
    return [float(value) for value in found.values(made)]


def test_support_is_the_weighted_sum() -> None:
    """What a hit shows is all there is; names are different."""
    made = evidence("When did Ana eat ramen in May?", candidate("ramen", 0.4, speaker="Ana"), candidate("tea", 0.2))
    for mode in (RankingMode.RERANK, RankingMode.WEIGHTED, RankingMode.RRF):
        ranked = Ranked(made, mode, MINILM)
        for hit in (ranked[0], ranked[1]):
            assert list(hit.support) == [one.name for one in SUPPORT]
            total = np.array([sum(hit.support.values())])
            assert MINILM.similarity(total).tolist() == pytest.approx([hit.similarity])
    assert len({one.name for one in SUPPORT}) == len(SUPPORT)


def test_without_candidates_there_is_none() -> None:
    """Empty arrays, not an error."""
    assert {values.shape for values in support(evidence("tea")).values()} == {(0,)}


def test_a_memory_said_by_somebody_else_than_the_one_named_has_less() -> None:
    """One added by hand was said by nobody, and counts in full."""
    said = [candidate("ramen", speaker="Ana"), candidate("ramen!", speaker="Bob"), candidate("ramen?", speaker=None)]
    assert values("other_speaker", evidence("What does Ana eat?", *said)) == [0, 1, 0]
    assert values("other_speaker", evidence("What do you eat?", *said)) == [0, 0, 0]


@pytest.mark.parametrize(
    ("question", "content", "speaker"),
    [
        ("How do I pay my electricity bill?", "I pay my electricity bill by direct debit", "Bill"),
        ("What is my travel budget?", "my travel budget is 3000 dollars", "Travel Assistant"),
    ],
)
def test_a_word_is_no_name_because_somebody_is_called_so(question: str, content: str, speaker: str) -> None:
    """Somebody who said one thing, or a persona of the assistant, takes nothing from what the user said."""
    others = [candidate(f"something else {number}", 0.1, conversation=f"d{number}") for number in range(8)]
    asked = [candidate(content, 0.6), *others]
    alone, beside = (
        evidence(question, *asked, documents=9),
        evidence(question, *asked, candidate("hello there", 0.1, speaker=speaker, conversation="e"), documents=10),
    )
    assert sum(found.values(beside)[0] for found in SUPPORT) == pytest.approx(
        sum(found.values(alone)[0] for found in SUPPORT), abs=0.1
    )
    assert values("other_speaker", beside) == [0] * 10


def test_what_the_assistant_said_has_less() -> None:
    """As in the order."""
    said = [candidate("ramen", speaker="assistant"), candidate("ramen!", speaker="user")]
    assert values("assistant", evidence("ramen?", *said)) == [1, 0]


def test_words_spread_over_neighbours_count_for_each_of_them() -> None:
    """Each word once, in short memories of one conversation."""
    one = candidate("the ramen bar", position=1)
    other = candidate("in Kyoto", position=2)
    apart = candidate("Kyoto", conversation="d", position=2)
    made = evidence("ramen bar Kyoto", one, other, apart)
    assert values("window", made) == pytest.approx([1.0, 1.0, made.coverage[2]])
    assert 0 < made.coverage[0] < 1
    long = candidate("in Kyoto " + "word " * 200, position=2)
    with_long = evidence("ramen bar Kyoto", one, long, apart)
    assert with_long.coverage[0] <= values("window", with_long)[0] < with_long.coverage[0] + 0.05


def test_a_reply_has_what_was_asked_for_before_it() -> None:
    """If somebody else asked."""
    asked = candidate("Which ramen bar in Kyoto?", speaker="Bob", position=1)
    answer = candidate("Menya, hands down", speaker="Ana", position=2)
    made = evidence("ramen bar Kyoto", asked, answer)
    assert values("reply", made) == pytest.approx([0.0, 1.0])
    alone = evidence("ramen bar Kyoto", candidate("Which ramen bar in Kyoto?", speaker="Ana", position=1), answer)
    assert values("reply", alone) == [0, 0]


@pytest.mark.parametrize("cosine", [-1.0, -0.2, 0.0, 0.4, 1.0])
def test_the_dense_scale_is_half_of_one_plus_cosine(cosine: float) -> None:
    """0.70 means a cosine of 0.40, in every backend (reference defect 16)."""
    assert dense_similarity(np.array([cosine])).tolist() == pytest.approx([(1 + cosine) / 2])
    made = Ranked(evidence("x", candidate("y", cosine)), RankingMode.DENSE, MINILM)
    assert made[0].similarity == pytest.approx((1 + cosine) / 2)
    assert dict(made[0].support) == {}


@given(st.lists(st.floats(-1, 2), min_size=2, max_size=20))
def test_the_hybrid_map_is_monotone_and_stays_in_the_scale(totals: list[float]) -> None:
    """More evidence never lowers the similarity."""
    mapped = MINILM.similarity(np.array(sorted(totals)))
    assert all(np.diff(mapped) >= 0)
    assert 0 <= mapped[0] <= mapped[-1] <= 1


def test_an_unknown_model_gets_a_map_that_says_it_was_not_fitted() -> None:
    """Thresholds of the hybrid modes are rough there."""
    assert MINILM.fitted
    assert not calibration_for("all-MiniLM-L6-v2/384/53aa51172d142c89d9012cce15ae4d6c-other-prefixes", "torch").fitted
    assert not calibration_for("some-other-model/768/abc", "torch").fitted
