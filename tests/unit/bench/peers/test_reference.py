"""The reference's weighted score is 0.7 of the similarity, 0.2 of the scaled BM25 and 0.1 of the 3-grams in common."""

from __future__ import annotations

import pytest

from bench.peers.drivers.reference import fused


def test_without_common_words_the_similarity_decides() -> None:
    assert fused("zzz", ["one", "two"], [0.9, 0.5]) == pytest.approx([0.63, 0.35])


def test_the_best_bm25_of_the_candidates_counts_two_tenths() -> None:
    scores = fused("red", ["blue sky", "a red car", "green"], [0.5, 0.5, 0.5])
    # 3-grams of the question: {red}; of the text: 7, red among them
    assert scores == pytest.approx([0.35, 0.35 + 0.2 + 0.1 / 7, 0.35])


def test_the_same_text_scores_one() -> None:
    assert fused("a red car", ["a red car", "blue sky"], [1.0, 0.0])[0] == pytest.approx(1.0)


def test_nothing_found_is_nothing_scored() -> None:
    assert fused("red", [], []) == []
