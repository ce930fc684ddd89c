"""`search --explain` shows every number behind a search."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Cli

CONFIG = """
global: {stores: {memory: {enabled: true, hybrid_search: true, adaptive_threshold: true, embedded: {path: memory.db}}}}
routing:
  decisions:
    - name: narrow
      plugins: [{type: memory, configuration: {retrieval_limit: 1, similarity_threshold: 0.6}}]
"""


@pytest.fixture
def search(cli: Cli, config: Path, added: Callable[..., str]) -> list[str]:
    config.write_text(CONFIG)
    added("I take the aisle seat on planes", "--speaker", "Ann")
    added("planes have a seat and an aisle, and planes are loud")
    added("my dog is called Dosa " + "and barks at planes " * 40)
    return ["search", "the aisle seat on planes", "--decision", "narrow", "--explain"]


def test_every_signal_has_its_value_and_share(cli: Cli, search: list[str]) -> None:
    found = cli(*search, "--json").json
    assert len(found["hits"]) == 1
    for hit in (*found["hits"], *found["below"]):
        assert set(hit["signals"]) == set(hit["shares"])
        assert sum(map(abs, hit["shares"].values())) == pytest.approx(1.0)
        assert hit["score"] == pytest.approx(sum(hit["signals"].values()))
    out = cli(*search).out
    hit = found["hits"][0]
    largest = max(hit["signals"], key=lambda name: abs(hit["signals"][name]))
    assert f"{largest} {hit['signals'][largest]:+.3f} ({abs(hit['shares'][largest]):.0%})" in out
    assert f"similarity {hit['similarity']:.3f}, cosine {hit['cosine']:.3f}, lexical {hit['lexical']:.2f}" in out


def test_no_signal_is_left_out(cli: Cli, search: list[str]) -> None:
    """Those that add nothing are named together."""
    found = cli(*search, "--json").json
    out = cli(*search).out
    first = out[out.index("\nreturned") : out.index("\nnext best")]
    assert [name for name in found["hits"][0]["signals"] if not re.search(rf"\b{name}\b", first)] == []


def test_a_similarity_is_explained_too(cli: Cli, search: list[str], config: Path) -> None:
    """By what it was made from, which adds up."""
    hit = cli(*search, "--json").json["hits"][0]
    out = cli(*search).out
    assert f"support {sum(hit['support'].values()):.3f} =" in out
    assert hit["support"]["cosine"] == pytest.approx(hit["cosine"])
    assert f"cosine {hit['cosine']:+.3f}" in out
    config.write_text(CONFIG.replace("hybrid_search: true", "hybrid_search: false"))
    assert cli(*search, "--json", "--threshold", "0").json["hits"][0]["support"] == {}


def test_the_cut_says_why_and_what_was_just_below_says_by_how_much(cli: Cli, search: list[str]) -> None:
    found = cli(*search, "--json").json
    out = " ".join(cli(*search).out.split())
    assert found["cut"]["why"] in out
    assert [miss["id"] for miss in found["misses"]] == [hit["record"]["id"] for hit in found["below"]]
    for miss in found["misses"]:
        assert miss["why"] in out
    margin = found["hits"][0]["similarity"] - found["cut"]["threshold"]
    assert f"{margin:.3f} above the threshold" in out


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_signal_is_broken_over_two_lines(
    cli: Cli, search: list[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = cli(*search).out
    values = re.findall(r"[+-]\d+\.\d{3}\b", out)
    assert len(values) == len(re.findall(r"\w+ [+-]\d+\.\d{3}( \(\d+%\))?(?=\s)", out)) > 0
    assert max(map(len, out.splitlines())) <= width


def test_long_memories_are_shown_in_part(cli: Cli, search: list[str]) -> None:
    out = cli(*search).out
    assert out.count("barks") < 30
    assert "…" in out
