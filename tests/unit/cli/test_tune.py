"""`tune` as a person and as a program sees it."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.unit.demo.support import line, write

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

CONFIG = """
global:
  stores:
    memory: {enabled: true, auto_store: true, hybrid_search: true, embedded: {path: memory.db}}
routing:
  decisions:
    - name: "wide [bold]"
      plugins:
        - type: memory
          configuration:
            retrieval_limit: 4
            similarity_threshold: 0.60
            adaptive_threshold: true
            reflection:
              block_patterns: ["(?i)a pattern that is far longer than any line of a terminal, and some more of it"]
"""
DECISION = "wide [bold]"


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    def asked(text: str, *evidence: str) -> dict[str, object]:
        return {"question": text, "evidence": list(evidence), "category": "c", "answerable": bool(evidence)}

    mine = [
        asked("which seat do I take on planes", "ann0"),
        asked("what is my dog called", "ann1"),
        asked("the dentist"),
    ]
    data = write(
        tmp_path / "c.jsonl",
        line("ann", "I always take the aisle seat on planes", "my dog is called Dosa", questions=mine),
        line(
            "bo", "my dog eats tablets", "the marathon is in October", questions=[asked("when is the marathon", "bo1")]
        ),
    )
    config = tmp_path / "tune.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    return ["tune", "--data", str(data), "--decision", DECISION, "--config", str(config)]


def test_a_person_sees_thresholds_the_choice_and_yaml(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.err) == (0, "")
    for part in (
        "wide [bold] of",
        "3 with known evidence, 1 that nothing answers, 3 asked of another user's memory",
        "adaptive_threshold: false",
        "adaptive_threshold: true (relative)",
        "threshold precision",
        "█",
        "chosen by f1",
        "precision: of what questions with an answer get, the share that is evidence",
        " of what questions with an answer get, recall ",
        "tokens a request",
        "4 questions are few",
        "routing:",
        "similarity_threshold:",
    ):
        assert part in ran.out, part
    assert re.search(r"^ +0\.60 .* now *$", ran.out, re.MULTILINE)
    assert re.search(r"^ +0\.\d\d .* chosen *$", ran.out, re.MULTILINE)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_rows_fit_and_the_yaml_is_whole(
    cli: Cli, arguments: list[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table, found, pasted = cli(*arguments).out.partition("# router-memory tune")
    assert max(map(len, table.splitlines())) <= width
    document = yaml.safe_load(found + pasted)
    plugin = document["routing"]["decisions"][0]["plugins"][0]["configuration"]
    assert len(plugin["reflection"]["block_patterns"][0]) > 80
    assert plugin["retrieval_limit"] == 4


def test_what_is_printed_passes_the_check(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    """By itself, and in place of the decision it was made for."""
    printed = cli(*arguments, "--objective", "recall=0.5").out
    text = printed[printed.index("# router-memory tune") :]
    alone = tmp_path / "alone.yaml"
    alone.write_text(text, encoding="utf-8")
    assert cli("config", "check", str(alone)).code == 0
    merged = tmp_path / "merged.yaml"
    merged.write_text(CONFIG.partition("routing:")[0] + text, encoding="utf-8")
    checked = cli("config", "check", str(merged), "--json")
    recall = checked.json["decisions"][DECISION]["recall"]
    chosen = cli(*arguments, "--objective", "recall=0.5", "--json").json["chosen"]
    assert (checked.code, checked.json["warnings"]) == (0, [])
    assert (recall["threshold"], recall["cutoff"], recall["limit"]) == (chosen["threshold"], chosen["rule"], 4)


def test_json_is_one_document(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments, "--json", "--limit", "2", "--objective", "balanced")
    report = ran.json
    assert (ran.code, ran.err, report["limit"], report["objective"]) == (0, "", 2, "balanced")
    assert len(report["points"]) == 200
    assert report["chosen"] in report["points"]
    assert report["current"] in report["points"]
    assert "retrieval_limit: 2" in report["yaml"]
    assert cli(*arguments, "--json", "--limit", "2", "--objective", "balanced").out == ran.out


def test_a_goal_out_of_reach_is_an_error_behind_the_table(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    del arguments[1:3]
    missing = line("ann", "thanks", "my dog", questions=[{"question": "my dog", "evidence": ["ann0", "ann1"]}])
    data = write(tmp_path / "low.jsonl", missing)
    ran = cli(*arguments, "--data", str(data), "--objective", "recall=0.9")
    assert ran.code == 1
    assert "adaptive_threshold: false" in ran.out
    assert "routing:" not in ran.out
    assert ran.error.startswith("no threshold reaches recall=0.9: the most is 0.500 at")


def test_traffic_without_labels_chooses_nothing_by_itself(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    config = arguments[arguments.index("--config") + 1]
    assert cli("add", "I take the aisle seat", "--config", config).code == 0
    data = write(tmp_path / "t.jsonl", {"user_id": "ann", "query": "which seat"})
    ran = cli("tune", "--data", str(data), "--decision", DECISION, "--config", config)
    assert ran.code == 0
    assert "nothing is chosen: name an --objective" in ran.out
    assert "precision" not in ran.out
    assert "requests that get any memory" in ran.out


def test_nothing_is_recommended_where_nothing_is_injected(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    """An error where a recommendation was wanted."""
    config = Path(arguments[arguments.index("--config") + 1])
    config.write_text(CONFIG.replace("(?i)a pattern", ".|a pattern"), encoding="utf-8")
    wanted = cli(*arguments)
    assert (wanted.code, "routing:" in wanted.out) == (1, False)
    assert wanted.error == "nothing can be recommended: no threshold injects anything"
    assert cli("add", "I take the aisle seat", "--user", "ann", "--config", str(config)).code == 0
    data = write(tmp_path / "t.jsonl", {"user_id": "ann", "query": "which seat"})
    shown = cli("tune", "--data", str(data), "--decision", DECISION, "--config", str(config))
    assert (shown.code, shown.err) == (0, "")
    assert "nothing can be recommended: no threshold injects anything" in shown.out
    assert "name an --objective" not in shown.out


@pytest.mark.parametrize(
    ("more", "code", "wrong"),
    [
        (["--objective", "best"], 2, "--objective must be f1, balanced, precision=SHARE, recall=SHARE or tokens=N"),
        (["--decision", "nope"], 2, "the configuration has no decision 'nope' (it has: wide [bold])"),
        (["--data", "/nowhere.jsonl"], 2, "/nowhere.jsonl: cannot be read"),
        (["--data", "/dev/null"], 2, "/dev/null: is not a regular file"),
        (["--ask-others"], 2, "--ask-others is for traffic"),
        (["--plot", "curve.svg"], 2, "does not end in .png"),
        (["--plot", "/nowhere/curve.png"], 2, "there is no folder /nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(cli: Cli, arguments: list[str], more: list[str], code: int, wrong: str) -> None:
    ran = cli(*arguments, *more)
    assert (ran.code, ran.out) == (code, "")
    assert wrong in ran.error


def test_a_png_is_drawn_whole_for_its_owner(cli: Cli, arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "curve.PNG"
    ran = cli(*arguments, "--plot", str(file), "--json")
    assert (ran.code, ran.err) == (0, f"router-memory: drawn into {file}\n")
    raw = file.read_bytes()
    assert raw.startswith(b"\x89PNG\r\n\x1a\n")
    assert raw.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", raw[16:24])
    assert (width, height) == (1320, 780)
    assert file.stat().st_mode & 0o077 == 0
    assert cli(*arguments, "--plot", str(file), "--json").code == 0
    assert file.read_bytes() == raw


def test_without_matplotlib_the_error_has_the_line_to_install_it(
    cli: Cli, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it comes before the work."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    ran = cli(*arguments, "--plot", str(tmp_path / "curve.png"))
    assert (ran.code, ran.out) == (1, "")
    assert ran.error == "--plot needs an optional dependency: pip install 'router-memory[plot]'"
    assert not (tmp_path / "curve.png").exists()
