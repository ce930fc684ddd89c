"""The report: blocks of a page, tables and plots, from documents alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.catalogue import BENCHMARKS
from bench.claims import Claim, at_least, at_most
from bench.document import Document, Part, write
from bench.report.__main__ import main
from bench.report.answers import ANSWERS, Pick, answer
from bench.report.blocks import block
from bench.report.documents import load
from bench.report.page import UnknownBlock, differing, filled
from bench.report.tables import markdown, number, percent
from tests.unit.bench.test_document import part

ROOT = Path(__file__).parents[3]
MOST_BYTES = 60_000


def documents(**parts: Part) -> dict[str, Document]:
    """One of the service's."""
    return {"service": Document(benchmark="service", parts=parts)}


# -- figures and tables


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1234.5, "1,234"),
        (123.4, "123"),
        (12.34, "12.3"),
        (1.234, "1.23"),
        (0.1234, "0.123"),
        (0.01234, "0.0123"),
        (-0.5, "−0.500"),
        (20.0, "20"),
        (1.0, "1.00"),
        (0.0, "0"),
        (9.999, "10.0"),
        (17.04, "17.0"),
        (99.96, "100"),
        (17, "17"),
        (None, "–"),
    ],
)
def test_figures_have_three_places_that_count(value: float | None, written: str) -> None:
    assert number(value) == written


def test_shares_are_whole_percents() -> None:
    assert (percent(0.768), percent(0.0), percent(None)) == ("77 %", "0 %", "–")


def test_a_cell_may_hold_a_bar() -> None:
    assert markdown(["a", "b"], [["x | y", "1"]]) == "| a | b |\n| --- | ---: |\n| x \\| y | 1 |\n"


def test_a_cell_is_one_line() -> None:
    """Such as the end of a log that says why a product could not run."""
    assert markdown(["a"], [["Traceback\n  here"]]).splitlines()[2:] == ["| Traceback here |"]


def test_the_load_before_a_run_is_said() -> None:
    busy = part(Claim("n", 5.0)).model_copy(update={"facts": {"load_before": 2.5}})
    assert "Load of the machine when it began: 2.50." in block("service", documents(off=busy))


def test_the_tail_of_a_request_stands_beside_its_median() -> None:
    """A table of medians alone, and of the tenth answered soonest, would hide it."""
    alone = {
        "plain": {"first_p50_ms": 1.0, "first_p95_ms": 2.0},
        "service": {"first_p50_ms": 1.5, "first_p95_ms": 8.0},
    }
    made = block("service/latency", documents(hit=part(alone=alone)))
    assert "| 1.00 ms | 1.50 ms | 0.500 ms | 2.00 ms | 8.00 ms | 6.00 ms |" in made
    assert "switched off" not in made


def test_a_hit_and_a_miss_stand_side_by_side_in_the_table_of_samples() -> None:
    rooms = {"store": {"share": 0.5, "microseconds": 100.0}, "telemetry": {"share": 0.0, "microseconds": 0.0}}
    sampled = part(microseconds=200.0, rooms=rooms, functions={"cache.local:get": rooms["store"]})
    found = {"profile": Document(benchmark="profile", parts={"hit": sampled, "miss": sampled})}
    made = block("profile/rooms", found)
    assert "| store | 100 | 50 % | 100 | 50 % |" in made
    assert "telemetry" not in made
    assert block("profile/functions", found).count("| `cache.local:get` | 100 | 50 % |") == 2


def test_claims_stand_with_target_and_verdict_below_their_command() -> None:
    made = block("service", documents(off=part(at_most("fast", 1.0, 2.0), at_least("many", 1.0, 2.0), Claim("n", 5.0))))
    assert "$ python -m bench.demo --seed 7" in made
    assert "2026-01-02, 2 x86_64 processors, Linux, seed 7; Python 3.11.7, torch 2.0." in made
    assert "| fast | 1.00 | ≤ 2, met |\n| many | 1.00 | ≥ 2, **missed** |\n| n | 5.00 |  |\n" in made


def test_a_quick_run_is_shown_as_one() -> None:
    quick = part(Claim("n", 5.0)).model_copy(update={"quick": True})
    made = block("service", documents(off=quick))
    assert "A quick run" in made
    assert "value, quick run" in made
    assert "quick" not in block("service", documents(off=part(Claim("n", 5.0))))


def test_parts_of_one_run_share_a_table_and_others_have_their_own() -> None:
    again = part(Claim("c", 3.0)).model_copy(update={"command": "python -m bench.demo --parts c"})
    made = block("service", documents(a=part(Claim("a", 1.0)), b=part(Claim("b", 2.0)), c=again))
    assert made.count("| figure |") == 2
    assert made.index("| b |") < made.index("--parts c") < made.index("| c |")


def test_what_could_not_be_measured_is_said() -> None:
    lacking = part().model_copy(update={"facts": {"not_measured": "nothing on a store"}})
    assert "Not measured: nothing on a store." in block("service", documents(off=lacking))


@pytest.mark.parametrize("name", [one.name for one in BENCHMARKS])
def test_a_benchmark_without_a_document_says_what_to_type(name: str) -> None:
    assert block(name, {}).startswith(f"*Not measured yet: `python -m bench.{name}")


def test_a_part_that_is_missing_says_what_to_type() -> None:
    made = block("service/off,hit", documents(off=part(Claim("n", 5.0))))
    assert "| n | 5.00 |" in made
    assert "*Not measured yet: `python -m bench.service --parts hit`*" in made


@pytest.mark.parametrize("name", ["other", "answer/other", "plot/other", "Service"])
def test_an_unknown_block_is_refused(name: str) -> None:
    with pytest.raises(UnknownBlock, match=name):
        block(name, {})


def test_an_answer_takes_every_claim_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    picks = (Pick("{0}: p50", "service", "off", r"(.+): p50 ms"), Pick("", "cache", "trace", r"x"))
    monkeypatch.setitem(ANSWERS, "demo", picks)
    found = documents(off=part(at_most("10: p50 ms", 1.0, 2.0), Claim("20: p50 ms", 3.0), Claim("p95 ms", 3.0)))
    rows = answer("demo", found).splitlines()[2:]
    assert [row.split(" | ")[:3] for row in rows] == [
        ["| 10: p50", "1.00", "≤ 2, met"],
        ["| 20: p50", "3.00", ""],
        [f"| {next(one.answers for one in BENCHMARKS if one.name == 'cache')}", "not measured yet", ""],
    ]


def test_every_answer_finds_its_claims_in_what_was_measured() -> None:
    """A claim that got another name would vanish from the page."""
    found = load(ROOT / "bench" / "results")
    for picks in ANSWERS.values():
        for pick in picks:
            measured = found[pick.benchmark].parts.get(pick.part) if pick.benchmark in found else None
            if measured is not None:
                assert any(re.fullmatch(pick.pattern, claim.name) for claim in measured.claims), pick


# -- the page

PAGE = "Before.\n\n<!-- bench:a -->\nold\n<!-- /bench -->\nBetween.\n<!-- bench:b/c -->\n<!-- /bench -->\nAfter.\n"


def test_blocks_are_made_anew_and_all_other_text_stays() -> None:
    made = filled(PAGE, lambda name: f"| {name} |\n")
    assert made == (
        "Before.\n\n<!-- bench:a -->\n\n| a |\n\n<!-- /bench -->\nBetween.\n"
        "<!-- bench:b/c -->\n\n| b/c |\n\n<!-- /bench -->\nAfter.\n"
    )
    assert filled(made, lambda name: f"| {name} |\n") == made


def test_a_backslash_of_a_table_stays_one() -> None:
    assert r"x \| y \1" in filled(PAGE, lambda name: r"x \| y \1")


def test_blocks_that_differ_are_named() -> None:
    assert differing(PAGE, lambda name: "old") == ["b/c"]


@pytest.mark.parametrize(
    "page",
    [
        "<!-- bench:a -->\n",
        "<!-- /bench -->\n",
        "<!-- bench:a -->\n<!-- bench:b -->\n<!-- /bench -->\n<!-- /bench -->\n",
        "<!-- bench:a -->\n<!-- bench:b -->\n<!-- /bench -->\n",
    ],
)
def test_a_mark_that_stands_alone_is_an_error(page: str) -> None:
    with pytest.raises(UnknownBlock, match="alone"):
        filled(page, lambda name: "")


# -- the command


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text("<!-- bench:service -->\n<!-- /bench -->\n<!-- bench:plot/day -->\n<!-- /bench -->\n")
    write(documents(off=part(at_most("fast", 1.0, 2.0)))["service"], tmp_path / "results" / "service.json")
    return path


def report(page: Path, *words: str) -> int:
    folder = page.parent
    return main(["--results", str(folder / "results"), "--docs", str(page), "--plots", str(folder / "plots"), *words])


def test_the_check_notices_figures_that_changed(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(page, "--check") == 1
    assert report(page) == 0
    assert report(page, "--check") == 0
    write(documents(off=part(at_most("fast", 1.1, 2.0)))["service"], page.parent / "results" / "service.json")
    capsys.readouterr()
    assert report(page, "--check") == 1
    assert "'service'" in capsys.readouterr().out


def test_the_check_notices_a_figure_that_was_typed(page: Path) -> None:
    report(page)
    page.write_text(page.read_text().replace("1.00", "0.90"))
    assert report(page, "--check") == 1


def test_the_check_writes_nothing(page: Path) -> None:
    before = page.read_text()
    report(page, "--check")
    assert page.read_text() == before
    assert not (page.parent / "plots").exists()


def test_a_document_that_is_none_is_told(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (page.parent / "results" / "cache.json").write_text("{}")
    assert report(page) == 2
    assert "cache.json has no schema" in capsys.readouterr().err
