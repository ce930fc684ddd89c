"""The default configuration and the real model on the shipped conversation.

The floors lie a little below what was measured (`python -m bench.quality --data
router_memory/demo/conversation.jsonl`), so that a change of ranking that costs recall is seen here,
and one question more or less is not.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import pytest

from bench.quality.__main__ import configuration, measure
from router_memory import MemoryPlugin

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    arguments = argparse.Namespace(
        data=[ROOT / "router_memory/demo/conversation.jsonl"],
        config=ROOT / "config/config.yaml",
        roles=None,
        mode=None,
        seed=1,
    )
    (only,) = asyncio.run(measure(arguments))["sets"]
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


async def test_the_default_model_has_a_fitted_similarity_map(tmp_path: Path) -> None:
    """Thresholds mean what they say with the configuration as shipped."""
    async with MemoryPlugin.open(configuration(ROOT / "config/config.yaml", tmp_path), warm=False) as memory:
        assert not any("similarity map" in warning for warning in memory.warnings)
