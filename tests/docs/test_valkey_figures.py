"""The figures of docs/valkey.md are those of bench/results/valkey.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench.document import read

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "valkey.md").read_text(encoding="utf-8")
PARTS = read(ROOT / "bench" / "results" / "valkey.json").parts
LARGE: dict[str, Any] = PARTS["large"].figures
TEXTS: dict[str, Any] = PARTS["texts"].figures
CROSSOVER = LARGE["random"]["exact_or_graph"]
BY_EF: dict[str, dict[str, Any]] = TEXTS["store"]["by_ef_runtime"]


def rows_of(header: str) -> list[list[str]]:
    """The cells of a table, without the row that the header begins and the line under it."""
    table = PAGE[PAGE.index(header) :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def shown(text: str, value: float) -> bool:
    """Whether a text is the value with so many decimals as the text has."""
    decimals = len(text.partition(".")[2])
    return abs(float(text) - value) <= 0.5000001 * 10.0**-decimals


@pytest.mark.parametrize("row", rows_of("| vectors of the user |"), ids=lambda row: str(row[0]))
def test_exact_or_graph(row: list[str]) -> None:
    size = row[0].replace(",", "")
    measured = [
        CROSSOVER[size]["exact / exact at the first size"],
        CROSSOVER[size]["graph / exact at the first size"],
        LARGE["clustered"]["exact_or_graph"][size]["recall_at_10"],
        CROSSOVER[size]["recall_at_10"],
    ]
    assert [shown(text, value) for text, value in zip(row[1:], measured, strict=True)] == [True] * 4


def test_embedded_texts() -> None:
    *recalls, seconds = rows_of("| `ef_runtime`, embedded texts |")
    for row, by_ef in zip(recalls, BY_EF.values(), strict=True):
        measured = [one["recall_at_10"] for one in by_ef.values()]
        assert [shown(text, value) for text, value in zip(row[1:], measured, strict=True)] == [True] * 5
    usual = BY_EF["100000"]["200"]["p50_ms"]
    slower = [one["p50_ms"] / usual for one in BY_EF["100000"].values()]
    assert [shown(text, value) for text, value in zip(seconds[1:], slower, strict=True)] == [True] * 5


def test_what_graphs_find() -> None:
    said = re.search(
        r"part `texts`, ([\d,]+) sentences .*?was ([\d.]+) for users of 10,000 and ([\d.]+) for one", PAGE, re.DOTALL
    )
    assert said is not None
    count, large, largest = said.groups()
    assert int(count.replace(",", "")) == TEXTS["texts"]
    assert shown(large, TEXTS["store"]["recall_at_10"]["large"])
    assert shown(largest, TEXTS["store"]["recall_at_10"]["largest"])
    said = re.search(r"recall ([\d.]+) at 10,000 and ([\d.]+)\s+at 100,000\. Who", PAGE)
    assert said is not None
    store = LARGE["random"]["store"]["recall_at_10"]
    assert [shown(text, store[name]) for text, name in zip(said.groups(), ("large", "largest"), strict=True)] == [
        True
    ] * 2
