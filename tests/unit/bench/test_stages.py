"""From what pytest-benchmark measured to the part of the document."""

from __future__ import annotations

from typing import Any

from bench.stages.measure import EMBED_SECONDS, FACTS
from bench.stages.report import calmest, measured, summary, table


def raw(**stages: tuple[float, float]) -> dict[str, Any]:
    """Seconds of each stage and of the embedding beside it."""
    return {
        "version": "5.0",
        "machine_info": {"node": "a-host"},
        "benchmarks": [
            {
                "name": f"test_{name}",
                "stats": {"data": [seconds] * 3},
                "extra_info": {EMBED_SECONDS: [floor] * 3, FACTS: {"candidates_median": 7.0}},
            }
            for name, (seconds, floor) in stages.items()
        ],
    }


CALM = summary(raw(rerank_100=(0.001, 0.010), embed=(0.010, 0.010)))
NOISY = summary(raw(rerank_100=(0.002, 0.010), embed=(0.010, 0.020)))


def test_a_stage_is_its_ratio_to_the_embedding_beside_it() -> None:
    assert CALM["stages"]["rerank_100"]["ratio_to_embed"] == 0.1
    assert CALM["stages"]["rerank_100"]["candidates_median"] == 7.0


def test_stages_stand_in_the_order_of_a_request() -> None:
    assert list(CALM["stages"]) == ["embed", "rerank_100"]


def test_the_calmest_run_is_kept_with_the_ratios_of_all() -> None:
    """Whichever figures it has."""
    kept = calmest([NOISY, CALM])
    assert kept["floor_max_over_min"] == 1.0
    assert [run["ratios"] for run in kept["runs"]] == [{"rerank_100 / embed": 0.2}, {"rerank_100 / embed": 0.1}]
    assert "0.100 to 0.200" in table(kept)


def test_the_part_names_its_targets_and_no_machine() -> None:
    part = measured(
        calmest([NOISY]),
        command="python -m bench.stages --seed 7",
        seed=7,
        quick=True,
        settings={"rounds": 3},
        facts={},
    )
    (claim,) = part.claims
    assert (claim.name, claim.value, claim.target, claim.met) == ("rerank_100 / embed", 0.2, "≤ 0.12", False)
    assert part.quick
    assert part.environment.versions["pytest-benchmark"] == "5.0"
    assert "a-host" not in part.model_dump_json()
