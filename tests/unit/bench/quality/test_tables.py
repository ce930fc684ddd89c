"""From figures to tables, in the terminal and on a page."""

from __future__ import annotations

from typing import Any

import pytest

from bench.quality.report import filled, markdown
from bench.quality.table import Table, equal_threshold, ranking, tables
from router_memory.types import RankingMode

RANKED = {"R@5": 0.5, "R@10": 0.75, "nDCG@10": 1.0, "MRR": 0.0, "n": 4, "confidence_95": {"R@10": (0.5, 1.0)}}
FIGURES: dict[str, Any] = {
    "set": "demo",
    "mode": "rerank",
    **RANKED,
    "modes": {"rerank": RANKED, "dense": {**RANKED, "R@10": 0.25}},
    "categories": {"single": RANKED},
    "rules": {},
    "equal_threshold": {
        "0.70": {
            "modes": {
                "dense": {"share": 0.40, "injected": 80},
                "rerank": {"share": 0.46, "injected": 50},
                "weighted": {"share": 0.43, "injected": 60},
                "rrf": {"share": 0.90, "injected": 49},
            }
        }
    },
}
DOCUMENT: dict[str, Any] = {
    "command": "python -m bench.quality --data demo.jsonl",
    "environment": {"seed": 7, "date": "2025-01-01", "cpus": 2, "versions": {"torch": "2.0"}},
    "backend": "embedded",
    "runtime": "torch",
    "sets": [FIGURES],
}


def test_the_configured_order_stands_first_and_once() -> None:
    """The other modes follow."""
    assert [row[:2] for row in ranking([DOCUMENT]).rows] == [["demo", "rerank, as configured"], ["demo", "dense"]]


def test_figures_have_three_places_and_no_zero_in_front() -> None:
    """As in the field's papers."""
    assert ranking([DOCUMENT]).rows[0][2:] == [".500", ".750", "1.000", ".000", ".500 to 1.000"]


def test_the_scale_is_compared_where_enough_was_injected() -> None:
    """Few memories are shown in brackets."""
    rows = {row[1]: row[2] for row in equal_threshold([DOCUMENT]).rows}
    assert rows == {
        "dense": ".400",
        "rerank": ".460",
        "weighted": ".430",
        "rrf": "(.900)",
        "largest difference": ".060",
    }


def test_another_backend_is_in_the_comparison_alone() -> None:
    """Its other figures would stand twice."""
    modes = {mode: {"share": 0.36, "injected": 80} for mode in ("dense", "rerank", "weighted", "rrf")}
    other = DOCUMENT | {"backend": "valkey", "sets": [FIGURES | {"equal_threshold": {"0.70": {"modes": modes}}}]}
    made = {table.name: table for table in tables([DOCUMENT, other])}
    assert len(made["ranking"].rows) == 2
    assert made["scale"].rows[-1] == ["demo", "largest difference", ".100"]
    assert made["scale"].rows[4][1] == "valkey, torch, dense"


def test_another_unit_stands_beside_the_first() -> None:
    """Set by set; it is in no other table."""
    figures = FIGURES | {"injection": {"F1mix": 0.3, "BA": 0.7}, "memories": 1200, "bytes_per_memory": 2500.0}
    first, other = (DOCUMENT | {"unit": unit, "sets": [figures]} for unit in ("message", "pair"))
    made = {table.name: table for table in tables([first, other])}
    assert [[*row[:2], *row[-4:]] for row in made["units"].rows] == [
        ["demo", unit, ".300", ".700", "1,200", "3.0"] for unit in ("message", "pair")
    ]
    assert len(made["scale"].rows) == len(RankingMode) + 1
    assert "units" not in {table.name for table in tables([DOCUMENT])}


def test_a_page_gets_its_tables_between_its_marks() -> None:
    """The text around them stays, and filling again changes nothing."""
    page = "Before.\n<!-- quality: ranking -->\nold\n<!-- end -->\nAfter.\n"
    once = filled(page, [DOCUMENT])
    (table,) = (table for table in tables([DOCUMENT]) if table.name == "ranking")
    assert once == f"Before.\n<!-- quality: ranking -->\n{markdown(table)}<!-- end -->\nAfter.\n"
    assert filled(once, [DOCUMENT]) == once


def test_a_page_tells_what_is_to_be_typed() -> None:
    """With what decides the figures."""
    page = filled("<!-- quality: run -->\n<!-- end -->\n", [DOCUMENT])
    assert "python -m bench.quality --data demo.jsonl --json OUT\n" in page
    assert "Seed 7, 2025-01-01, 2 processors, backend embedded, runtime torch, torch 2.0." in page


def test_a_mark_without_a_table_is_an_error() -> None:
    """A page does not keep old figures unnoticed."""
    with pytest.raises(SystemExit, match="ablation"):
        filled("<!-- quality: ablation -->\n<!-- end -->\n", [DOCUMENT])


def test_markdown_aligns_numbers_to_the_right() -> None:
    """Words to the left."""
    table = Table("t", "T", ["memories", "R@10"], [["demo", ".750"]], numbers=1)
    assert markdown(table) == "| memories | R@10 |\n| --- | ---: |\n| demo | .750 |\n"
