"""Parts are measured one by one, and each keeps what was typed for it and where it ran."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench.claims import Claim, at_most
from bench.document import read
from bench.environment import environment
from bench.parts import argument_parser, document_part, measure_parts
from tests.unit.bench.test_document import ENVIRONMENT

PARTS = ("first", "second")


@dataclass(frozen=True, slots=True)
class Settings:
    size: int = 10


@pytest.fixture(autouse=True)
def demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark `demo` whose parts give the size they were given."""

    async def measure(settings: Settings) -> tuple[dict[str, Any], list[Claim]]:
        return {"size": settings.size}, [at_most("size", settings.size, 15)]

    for name in PARTS:
        module = ModuleType(f"bench.demo.{name}")
        module.measure = measure  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "bench.demo", ModuleType("bench.demo"))


def run(output: Path, *words: str, size: int = 10) -> None:
    parser = argument_parser("demo", None, PARTS, seed=7, seed_of="data", quick="short")
    arguments = parser.parse_args(["--json", str(output), *words])
    measure_parts("demo", arguments, Settings(size), servers={"server": "1.0"}, options="--own 3", note="busy")


def dated(monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    monkeypatch.setattr("bench.parts.environment", lambda seed: environment(seed) | {"date": date})


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "demo.json"


def test_a_part_says_what_was_typed_where_it_ran_and_what_it_was_given(output: Path) -> None:
    run(output)
    one = read(output).parts["first"]
    assert one.command == "python -m bench.demo --seed 7 --own 3 --parts first,second"
    assert (one.environment.seed, one.environment.servers) == (7, {"server": "1.0"})
    assert (one.settings, one.figures) == ({"size": 10}, {"size": 10})
    assert one.facts["note"] == "busy"
    assert one.facts["load_before"] >= 0
    assert not one.quick


def test_a_part_measured_again_keeps_its_own_day_and_settings(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of the other stay as they were."""
    with monkeypatch.context() as patch:
        dated(patch, "2026-01-01")
        run(output)
    dated(monkeypatch, "2026-02-01")
    run(output, "--parts", "second", size=20)
    first, second = (read(output).parts[name] for name in PARTS)
    assert (first.environment.date, first.settings) == ("2026-01-01", {"size": 10})
    assert (second.environment.date, second.settings) == ("2026-02-01", {"size": 20})
    assert "--parts second" in second.command
    assert [claim.met for part in (first, second) for claim in part.claims] == [True, False]


def test_a_quick_run_is_marked(output: Path) -> None:
    run(output, "--quick", "--parts", "first")
    one = read(output).parts["first"]
    assert one.quick
    assert one.command.endswith("--quick")


def test_a_file_of_an_older_schema_is_written_anew(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output.write_text(json.dumps({"benchmark": "demo", "parts": {"first": {}}}), encoding="utf-8")
    run(output, "--parts", "second")
    assert list(read(output).parts) == ["second"]
    assert "has no schema" in capsys.readouterr().err


def test_the_file_of_another_benchmark_is_left_alone(output: Path) -> None:
    run(output)
    before = output.read_text(encoding="utf-8").replace('"demo"', '"other"')
    output.write_text(before, encoding="utf-8")
    with pytest.raises(SystemExit, match="other"):
        run(output)
    assert output.read_text(encoding="utf-8") == before


def test_folders_of_the_machine_are_left_out() -> None:
    """Names of files stay, and what is no path from the root."""
    one = document_part(
        command="python -m bench.demo --data /home/someone/data/a.jsonl bench/b.jsonl --path=/home/x/y:user",
        quick=False,
        environment=ENVIRONMENT,
        settings={"data": ["/home/someone/a.jsonl"], "folder": "", "size": 3},
        facts={"ratio": "search / numpy"},
        claims=[],
        figures={"reason": 'it ended: File "/home/someone/bench/a.py", line 3'},
    )
    assert one.figures == {"reason": 'it ended: File "a.py", line 3'}
    assert one.command == "python -m bench.demo --data a.jsonl bench/b.jsonl --path=y:user"
    assert one.settings == {"data": ["a.jsonl"], "folder": "", "size": 3}
    assert one.facts == {"ratio": "search / numpy"}


def test_an_unknown_part_is_refused(output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(output, "--parts", "third")
    assert "no such part: third" in capsys.readouterr().err


def test_a_claim_holds_at_its_target() -> None:
    assert at_most("", 1.5, 1.5).met
    assert at_most("", 1.6, 1.5).met is False
