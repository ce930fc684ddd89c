"""The demonstration as a person and as a program sees it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.demo.support import line, write

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Cli

DEFAULT = Path(__file__).parents[3] / "config" / "config.yaml"


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    seat = {"question": "which seat on planes", "evidence": ["ann0"], "category": "c", "answerable": True}
    conversation = write(
        tmp_path / "c.jsonl",
        line("ann", "I always take the aisle seat on planes [bold]\x1b[2J", questions=[seat]),
        line("bo", "my dog eats tablets"),
    )
    config = tmp_path / "demo.yaml"
    text = DEFAULT.read_text(encoding="utf-8")
    config.write_text(text.replace("deadline_ms: 150", "deadline_ms: 60000").replace("0.60", "0.30"), encoding="utf-8")
    return ["demo", "--conversation", str(conversation), "--config", str(config)]


def test_a_person_sees_every_section(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.err) == (0, "")
    for part in (
        "The conversations are replayed",
        "Question 1: ann asks",
        "“which seat on planes”",
        "personalized_route  used/injected",
        "1 of 1 with the answer",
        "threshold",
        "strict_route",
        "no_memory_route  disabled/decision_config",
        "asked by bo instead",
        "isolation ✓  0 of the",
        "what the model is sent",
        "<user_memory",
        "Where the time goes",
        "Summary",
        "leaks:",
    ):
        assert part in ran.out, part


def test_a_late_demonstration_claims_nothing(cli: Cli, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.doubles.HashingEmbedder.backlog_seconds", lambda *_: 1000.0)
    monkeypatch.setattr("router_memory.demo.run._PAUSE_SECONDS", 0)
    out = cli(*arguments).out
    assert "✓" not in out
    assert "nothing to judge" in out
    assert "went on without memory" in out
    assert "not judged" in " ".join(out.split())


def test_it_fits_in_100_columns(cli: Cli, arguments: list[str]) -> None:
    assert max(map(len, cli(*arguments).out.splitlines())) <= 100


def test_content_is_harmless_there_too(cli: Cli, arguments: list[str]) -> None:
    out = cli(*arguments).out
    assert "\x1b" not in out
    assert "[bold]\\x1b" in out


def test_json_is_one_document_and_nothing_else(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["summary"]["leaks"] == 0


@pytest.mark.model
def test_the_real_demonstration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the model, on the conversations that come along, under the default configuration but for the deadline."""
    import json

    from router_memory.cli.entry import run

    monkeypatch.delenv("ROUTER_MEMORY_CONFIG", raising=False)
    config = tmp_path / "config.yaml"
    patient = DEFAULT.read_text(encoding="utf-8").replace("deadline_ms: 150", "deadline_ms: 60000")
    config.write_text(patient, encoding="utf-8")
    assert run(["demo", "--json", "--config", str(config)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["summary"]["leaks"] == 0
    assert report["summary"]["looked_at"] > 0
    assert report["summary"]["late"] == 0
    assert [one["user"] for one in report["questions"]] == ["priya"] * 3 + ["tomas"] * 3
    for one in report["questions"]:
        statuses: dict[str, Any] = {answer["decision"]: answer["status"] for answer in one["answers"]}
        assert statuses["personalized_route"] in ("used", "missing")
        assert statuses["strict_route"] in ("used", "missing")
        assert statuses["no_memory_route"] == "disabled"
    birthday = next(one for one in report["questions"] if "my mother" in one["question"]["text"])
    assert "p5-7" in birthday["answers"][0]["evidence"].values()
