"""`python -m bench`: the list, and all benchmarks one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from bench.__main__ import listed, main
from bench.catalogue import BENCHMARKS, ROOT, Benchmark
from bench.claims import Claim, at_most
from bench.document import Document, write
from bench.running import Ran, run_all, summary
from tests.unit.bench.test_document import part


class Runs:
    """In place of processes: writes the document of each, or fails as it is told to."""

    def __init__(self, failing: str = "", silent: str = "") -> None:
        self.commands: dict[str, list[str]] = {}
        self._failing, self._silent = failing, silent

    def __call__(self, command: list[str], **_: object) -> CompletedProcess[str]:
        name = command[2].removeprefix("bench.")
        self.commands[name] = command[3:]
        if name not in (self._failing, self._silent):
            claims = (at_most("a", 1.0, 2.0), at_most("b", 3.0, 2.0), Claim("c", 1.0))
            write(Document(benchmark=name, parts={"one": part(*claims)}), Path(command[-1]))
        return CompletedProcess(command, 3 if name == self._failing else 0)


BOTH = tuple(Benchmark(name=name, answers=f"what {name} does", quick=1, full=60) for name in ("service", "cache"))


def ran(monkeypatch: pytest.MonkeyPatch, runs: Runs, tmp_path: Path, *benchmarks: Benchmark) -> list[Ran]:
    monkeypatch.setattr("bench.running.subprocess.run", runs)
    return run_all(benchmarks or BOTH, quick=True, data=[], results=tmp_path)


def test_the_list_has_a_line_for_every_benchmark_of_the_checkout() -> None:
    folders = {path.parent.name for path in (ROOT / "bench").glob("*/__main__.py")} - {"report"}
    assert {line.split()[0] for line in listed().split("\n\n")[0].splitlines()} == folders


def test_the_readme_says_of_each_what_the_catalogue_says() -> None:
    page = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) min \| (.*) min \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(one.name, one.answers, f"{one.quick:g}", f"{one.full:g}", one.needs) for one in BENCHMARKS]


def test_each_runs_in_a_process_and_writes_its_document(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs()
    assert [(one.state, one.met, one.missed) for one in ran(monkeypatch, runs, tmp_path)] == [("done", 1, 1)] * 2
    assert list(runs.commands) == ["service", "cache"]
    assert runs.commands["cache"] == ["--quick", "--json", str(tmp_path / "cache.json")]


def test_one_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, second = ran(monkeypatch, Runs(failing="service"), tmp_path)
    assert (first.failed, first.state, first.met) == (True, "FAILED: exit code 3", 0)
    assert (second.failed, second.state) == (False, "done")


def test_one_that_writes_nothing_has_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first, _ = ran(monkeypatch, Runs(silent="service"), tmp_path)
    assert first.failed


def test_an_earlier_document_is_no_figure_of_a_run_that_writes_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran(monkeypatch, Runs(), tmp_path)
    first, second = ran(monkeypatch, Runs(silent="service"), tmp_path)
    assert (first.state, first.met) == ("FAILED: it wrote no document", 0)
    assert second.state == "done"


def test_a_quick_run_makes_no_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names those that are not there, or of other pins."""
    (peers,) = (one for one in BENCHMARKS if one.name == "peers")
    monkeypatch.setattr("bench.catalogue.made", lambda name, folder: name != "mem0")
    assert "not made yet: mem0;" in peers.missing(True, [])
    assert peers.missing(False, []) == ""
    monkeypatch.setattr("bench.catalogue.made", lambda name, folder: True)
    assert peers.missing(True, []) == ""


def test_what_is_missing_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = Runs()
    lacking = Benchmark(name="valkey", answers="", quick=1, full=1, missing=lambda quick, data: "no server here")
    unknown = Benchmark(name="unknown", answers="", quick=1, full=1)
    found = ran(monkeypatch, runs, tmp_path, lacking, unknown)
    assert [one.state for one in found] == ["skipped: no server here", "skipped: not in this checkout"]
    assert not any(one.failed for one in found)
    assert runs.commands == {}


def test_the_exit_code_says_whether_one_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missed target is none of its business."""
    words = ["all", "--quick", "--only", "service,stages", "--results", str(tmp_path)]
    monkeypatch.setattr("bench.running.subprocess.run", Runs())
    assert main(words) == 0
    monkeypatch.setattr("bench.running.subprocess.run", Runs(failing="stages"))
    assert main(words) == 1


def test_evaluation_data_go_to_those_that_read_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The quick run takes the conversations of the repository."""
    runs = Runs()
    monkeypatch.setattr("bench.running.subprocess.run", runs)
    words = ["all", "--only", "quality", "--results", str(tmp_path)]
    main([*words, "--data", "a.jsonl", "b.jsonl:user"])
    assert runs.commands["quality"][:3] == ["--data", "a.jsonl", "b.jsonl:user"]
    main([*words, "--quick"])
    data = runs.commands["quality"][1:-3]
    assert data != []
    assert all((ROOT / path).is_file() for path in data)


def test_a_full_run_of_quality_needs_data() -> None:
    (quality,) = (one for one in BENCHMARKS if one.name == "quality")
    assert "--data" in quality.missing(False, [])
    assert quality.missing(True, []) == ""


def test_the_summary_has_a_line_each() -> None:
    lines = summary([Ran("service", "done", 90.0, 3, 1), Ran("valkey", "skipped: no server")]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["service", "1.5", "min", "3", "1", "done"],
        ["valkey", "skipped:", "no", "server"],
    ]
