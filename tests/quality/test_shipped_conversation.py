"""The default configuration and the real model on the shipped conversation.

The floors lie a little below what was measured (`python -m bench.quality --data
router_memory/demo/conversation.jsonl`), so that a change of ranking that costs recall is seen here,
and one question more or less is not.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.quality.backend import backend, configuration
from router_memory import MemoryPlugin
from tests.quality.conftest import ROOT, SHIPPED, run

pytestmark = pytest.mark.model

TIMES = ("ms_", "seconds_", "bytes_")
"""Figures of the machine: no two runs have the same."""


@pytest.fixture(scope="module")
def figures(shipped: dict[str, Any]) -> dict[str, Any]:
    (only,) = shipped["sets"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize(("figure", "floor"), [("R@10", 0.70), ("nDCG@10", 0.45), ("MRR", 0.40)])
def test_ranking_holds(figures: dict[str, Any], figure: str, floor: float) -> None:
    """Evidence is found among the first ten."""
    assert figures[figure] >= floor


@pytest.mark.parametrize(("figure", "floor"), [("hit_rate", 0.14), ("silence", 0.78), ("abstention", 1.0)])
def test_injection_holds(figures: dict[str, Any], figure: str, floor: float) -> None:
    """Paraphrased answers pass the default threshold sometimes, other users' memories and no answer at all rarely."""
    assert figures["injection"][figure] >= floor


def test_two_runs_give_the_same_figures(figures: dict[str, Any]) -> None:
    """All but times."""
    again = run("--data", str(SHIPPED), "--reference", "--ablate")["sets"][0]
    assert _without_times(again) == _without_times(figures)


def test_without_a_signal_only_that_signal_is_missing(figures: dict[str, Any]) -> None:
    """All signals together are the configured order; the meaning is what nothing else replaces."""
    ablation = figures["ablation"]
    assert ablation["all signals"]["nDCG@10"] == pytest.approx(figures["nDCG@10"])
    assert ablation["dense"]["brings"]["nDCG@10"] > 0
    assert ablation["speaker"]["brings"]["nDCG@10"] == 0  # no question names anybody who speaks


async def test_the_default_model_has_a_fitted_similarity_map() -> None:
    """Thresholds mean what they say with the configuration as shipped."""
    with backend("embedded") as where:
        async with (
            where.document(configuration(ROOT / "config/config.yaml")) as document,
            MemoryPlugin.open(document, warm=False) as memory,
        ):
            assert not any("similarity map" in warning for warning in memory.warnings)


def _without_times(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if not name.startswith(TIMES)}
