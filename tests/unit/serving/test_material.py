"""The configuration that all processes load alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from router_memory.errors import ConfigError
from router_memory.serving.material import Material

TEXT = "global: {stores: {memory: {enabled: true, embedded: {path: m.db}, service: {port: 81, workers: 3}}}}"


def revived(material: Material) -> Material:
    return Material.revived(json.loads(json.dumps(material.carried())))


def test_it_says_what_the_file_said_when_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    material = revived(Material.read(1, file, {}))
    file.write_text("global: [")
    config = material.load()
    assert (config.file, config.memory.service.port) == (str(file), 81)
    assert config.data_path == tmp_path / "m.db"


def test_what_the_command_line_says_wins(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    overrides = {"service.port": 0, "service.host": "127.0.0.5", "service.telemetry.log_format": "text"}
    service = revived(Material.read(1, file, overrides)).load().memory.service
    assert (service.host, service.port, service.workers) == ("127.0.0.5", 0, 3)
    assert service.telemetry.log_format == "text"


def test_it_is_checked_like_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(TEXT)
    with pytest.raises(ConfigError, match=r"service\.workers: must be from 1 to 64"):
        Material.read(1, file, {"service.workers": 0}).load()


def test_without_a_file_it_is_the_defaults() -> None:
    config = revived(Material.read(1, None, {"service.port": 0})).load()
    assert (config.file, config.memory.service.port, config.memory.enabled) == ("<defaults>", 0, True)


def test_what_is_no_text_comes_through(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes("global: {}".encode("utf-16"))
    assert revived(Material.read(1, file, {})).content == file.read_bytes()


def test_it_shows_no_secrets(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("password: hunter2")
    assert "hunter2" not in repr(Material.read(1, file, {}))


def test_a_file_that_is_being_written_is_not_taken(tmp_path: Path) -> None:
    """At the start an empty file is the defaults with memory off; later it is an editor at work."""
    file = tmp_path / "c.yaml"
    file.write_text("\n")
    assert Material.read(1, file, {}).load().memory.enabled is False
    with pytest.raises(ConfigError, match="is empty"):
        Material.read(2, file, {})
