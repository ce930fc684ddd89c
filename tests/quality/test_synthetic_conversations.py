"""The default configuration and the real model on conversations written for this purpose.

Two chats between friends and two with an assistant that writes long answers. Many messages of a conversation are about
one topic, names stand in greetings, questions share few words with what answers them, and some have no answer. The
floors lie one or two questions below what was measured (`python -m bench.quality --data` with conversations.jsonl).
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.model

ALL, USER = 0, 1


@pytest.mark.parametrize(
    ("place", "figure", "floor"),
    [(ALL, "R@10", 0.93), (ALL, "nDCG@10", 0.66), (USER, "R@10", 0.93), (USER, "nDCG@10", 0.72)],
)
def test_ranking_holds(synthetic: dict[str, Any], place: int, figure: str, floor: float) -> None:
    """With everything stored and with the user's messages alone."""
    assert synthetic["sets"][place][figure] >= floor


@pytest.mark.parametrize(("figure", "floor"), [("F1mix", 0.32), ("BA", 0.64), ("abstention", 0.41)])
def test_injection_holds(synthetic: dict[str, Any], figure: str, floor: float) -> None:
    """At the default threshold."""
    assert synthetic["sets"][ALL]["injection"][figure] >= floor


def test_ranking_beats_the_cosine_and_the_reference(synthetic: dict[str, Any]) -> None:
    """What the hybrid is for."""
    figures = synthetic["sets"][ALL]
    assert figures["R@10"] > figures["modes"]["dense"]["R@10"]
    assert figures["nDCG@10"] > figures["reference"]["nDCG@10"]


@pytest.mark.parametrize("signal", ["dense", "neighbours", "speaker"])
def test_the_signal_earns_its_place(synthetic: dict[str, Any], signal: str) -> None:
    """Without it the order is worse."""
    assert synthetic["sets"][ALL]["ablation"][signal]["brings"]["nDCG@10"] > 0
