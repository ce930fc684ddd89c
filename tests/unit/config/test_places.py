"""Where the files named in a configuration lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from router_memory.config import load_config
from tests.unit.config.support import MEMORY, load, memory, refused, written


def embedded(path: str) -> dict[str, object]:
    return memory(enabled=True, embedded={"path": path})


def test_without_a_path_the_data_lie_in_the_data_folder() -> None:
    assert load(memory(), XDG_DATA_HOME="/data").data_path == Path("/data/router-memory/memory.db")


@pytest.mark.parametrize("data_home", ["", "relative/is/invalid"])
def test_without_a_data_folder_they_lie_in_the_home(data_home: str) -> None:
    config = load(memory(), XDG_DATA_HOME=data_home)
    assert config.data_path == Path("/home/somebody/.local/share/router-memory/memory.db")


def test_an_absolute_path_is_taken_as_it_is() -> None:
    assert load(embedded("/srv/memory.db")).data_path == Path("/srv/memory.db")


def test_a_relative_path_starts_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    path = written(tmp_path / "etc", "global: {stores: {memory: {embedded: {path: data/memory.db}}}}")
    monkeypatch.chdir(tmp_path)
    for named in (path, path.relative_to(tmp_path)):
        assert load(named).data_path == tmp_path / "etc" / "data" / "memory.db"


def test_a_relative_path_of_a_mapping_starts_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(embedded("memory.db"))
    monkeypatch.chdir("/")
    assert config.data_path == tmp_path / "memory.db"


@pytest.mark.parametrize(("text", "path"), [("~", "/home/somebody"), ("~/m.db", "/home/somebody/m.db")])
def test_the_home_expands(text: str, path: str) -> None:
    assert load(embedded(text)).data_path == Path(path)


def test_a_path_may_come_from_the_environment() -> None:
    assert load(embedded("${DIR}/m.db"), DIR="~/x").data_path == Path("/home/somebody/x/m.db")


def test_the_home_of_an_unknown_user_is_refused() -> None:
    assert refused(embedded("~nobody-of-that-name/m.db")).key_path == f"{MEMORY}.embedded.path"


def test_a_user_without_a_home_must_name_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    error = refused(memory(enabled=True), HOME="")
    assert error.key_path == f"{MEMORY}.embedded.path"
    assert "absolute path" in error.hint


def test_a_user_without_a_home_may_have_memory_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    assert not load(memory(enabled=False), HOME="").any_enabled


def test_a_path_holds_no_zero_character() -> None:
    assert refused(embedded("a\0b")).key_path == f"{MEMORY}.embedded.path"


def test_certificates_are_found_like_the_data(tmp_path: Path) -> None:
    path = written(tmp_path, "global: {stores: {memory: {valkey: {tls_ca_path: tls/ca.pem}}}}")
    config = load(path)
    assert config.tls_path("valkey", "tls_ca_path") == tmp_path / "tls" / "ca.pem"
    assert config.tls_path("redis_cache", "tls_ca_path") is None


def test_a_file_may_be_named_by_a_string(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    assert load_config(str(path)).file == str(path)
