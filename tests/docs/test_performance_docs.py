"""No figure in the tables of docs/performance.md was typed from memory: each is drawn from bench/results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.catalogue import BENCHMARKS
from bench.report.__main__ import main
from bench.report.page import blocks
from bench.report.plots import PLOTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
NAMES = [name for name, _ in blocks(PAGE)]


def test_the_page_is_what_the_documents_say(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change of bench/results: python -m bench.report."""
    assert main(["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("measured", [one.name for one in BENCHMARKS if one.name != "quality"])
def test_every_benchmark_has_its_block(measured: str) -> None:
    """Quality has a page of its own."""
    assert any(name.partition("/")[0] == measured for name in NAMES)


@pytest.mark.parametrize("plot", PLOTS)
def test_every_plot_is_shown(plot: str) -> None:
    assert f"plot/{plot}" in NAMES


def test_no_block_stands_twice() -> None:
    assert len(NAMES) == len(set(NAMES))


def test_tables_stand_in_blocks_alone() -> None:
    """What is outside is read and written by people, and holds no figures in rows."""
    outside = re.sub(r"^<!-- bench:.*?^<!-- /bench -->$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^\|.*", outside, re.MULTILINE) == []
