"""The figures of the page on quality are those of the results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.quality.__main__ import arguments_of
from bench.quality.constants import constants
from bench.quality.report import filled
from bench.quality.writing import opened
from router_memory.ranking import SIGNALS, calibration_for

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "bench/results").glob("quality*.json"), key=lambda path: path.stem)
TABLES = ("run", "ranking", "injection", "scale", "units", "ablation", "cost", "speed")


@pytest.fixture
def page() -> str:
    return (ROOT / "docs/quality.md").read_text(encoding="utf-8")


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return [opened(path) for path in RESULTS]


def test_every_table_is_drawn_from_the_results(page: str, documents: list[dict[str, Any]]) -> None:
    """No figure was typed from memory: drawing the tables again changes nothing."""
    assert filled(page, documents) == page


@pytest.mark.parametrize("table", TABLES)
def test_the_page_has_the_table(page: str, table: str) -> None:
    """One that lost its mark would never be drawn again."""
    assert len(re.findall(rf"<!-- quality: {table} -->\n.+?<!-- end -->", page, re.DOTALL)) == 1


def test_the_command_of_the_page_is_understood(
    documents: list[dict[str, Any]], page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for as many sets as the results hold."""
    (shown,) = re.findall(r"^python -m bench\.quality (--data .*)$", page, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    for name in ("locomo-dev.jsonl", "beam-dev.jsonl"):
        (tmp_path / name).touch()
    assert len(arguments_of(shown.split()).data) == len(documents[0]["sets"])


def test_the_page_explains_every_signal(page: str, documents: list[dict[str, Any]]) -> None:
    """And the results were made with the signals there are."""
    for signal in SIGNALS:
        assert f"| `{signal.name}` | {signal.weight:g} |" in page
    assert {*documents[0]["sets"][0]["ablation"]} - {"all signals"} == {signal.name for signal in SIGNALS}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: str(path.stem))
def test_results_were_made_with_the_constants_there_are(path: Path) -> None:
    """Figures of other weights, scales or rules are figures of another product."""
    document = opened(path)
    calibration = calibration_for(document["model"], document["runtime"])
    assert document["constants"] == json.loads(json.dumps(constants(calibration)))
