"""The program run inside the test's process, on a store of its own and without a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from router_memory.cli.entry import run
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIG = """
global:
  stores:
    memory:
      enabled: true
      auto_store: true
      embedded:
        path: memory.db
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of the program gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("router-memory: error: ")
        return self.err.removeprefix("router-memory: error: ").rstrip("\n")


class Cli(Protocol):
    """Runs the program with these arguments."""

    def __call__(self, *arguments: str) -> Ran: ...


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file, named by the environment, with a store beside it."""
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)
    monkeypatch.setenv("ROUTER_MEMORY_CONFIG", str(file))
    return file


@pytest.fixture
def cli(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setattr("router_memory.wiring.BertEmbedder", lambda *_, **__: HashingEmbedder())
    monkeypatch.setenv("ROUTER_MEMORY_USER", "ann")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("ROUTER_MEMORY_DEBUG", raising=False)

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = run(arguments)
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def added(cli: Cli) -> Callable[..., str]:
    """Adds a memory and gives its id."""

    def add(*arguments: str) -> str:
        ran = cli("add", *arguments, "--json")
        assert ran.code == 0, ran.err
        return str(ran.json["id"])

    return add
