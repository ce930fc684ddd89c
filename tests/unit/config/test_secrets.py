"""Passwords come from the file, the environment or a file of their own, and are shown nowhere."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Literal

import pytest

from router_memory.errors import ConfigError
from tests.unit.config.support import MEMORY, load, memory, refused, written

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-and-more"
SERVERS: list[Literal["valkey", "redis_cache"]] = ["valkey", "redis_cache"]
Server = Literal["valkey", "redis_cache"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_password_is_read(server: Server) -> None:
    found = load(memory(**{server: {"password": SECRET}})).password(server)
    assert found is not None
    assert found.get_secret_value() == SECRET


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("section", [{}, {"password": ""}, {"password": None}])
def test_no_password_is_none(server: Server, section: dict[str, object]) -> None:
    assert load(memory(**{server: section})).password(server) is None


@pytest.mark.parametrize("server", SERVERS)
def test_a_password_of_the_environment_is_a_plain_string(server: Server) -> None:
    found = load(memory(**{server: {"password": "${PW}"}}), PW=SECRET).password(server)
    assert found is not None
    assert type(found.get_secret_value()) is str
    assert found.get_secret_value() == SECRET


@pytest.mark.parametrize("server", SERVERS)
def test_a_password_is_not_in_the_repr(server: Server) -> None:
    config = load(memory(**{server: {"password": "${PW}"}}), PW=SECRET)
    assert SECRET not in f"{config!r} {config} {config.memory!r} {config.memory} {config.memory.model_dump()}"


@pytest.mark.parametrize("value", [4711_0815, [SECRET], {"a": SECRET}, True])
def test_a_password_of_a_wrong_type_is_not_in_the_error(value: object) -> None:
    error = refused(memory(valkey={"password": value}))
    assert error.key_path == f"{MEMORY}.valkey.password"
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown
    assert "47110815" not in shown


@pytest.mark.parametrize(
    "section",
    [
        {"valkey": {"passwrod": SECRET}},
        {"valkey": {"password": SECRET, "port": 0}},
        {"valkey": {"password": SECRET, "password_file": "x"}},
        {"valkey": {"host": f"valkey://:{SECRET}@db"}},
        {"redis_cache": {"address": f"redis://:{SECRET}@db:6379"}},
        {"valkey": {"addresses": [f":{SECRET}@db:6379"]}},
        {"backend": "valkye", "valkey": {"password": SECRET}},
        {"deadline_ms": "${PW}"},
        {"hybrid_mode": "${PW}"},
        {"valkey": {"password": "${PW"}},
    ],
)
def test_a_password_is_in_no_other_error_either(section: dict[str, object]) -> None:
    error = refused(memory(**section), PW=SECRET)
    assert SECRET not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("server", SERVERS)
def test_a_password_file_is_read_without_its_line_end(tmp_path: Path, server: Server) -> None:
    (tmp_path / "secret").write_text(f" {SECRET} \r\n", encoding="utf-8")
    path = written(tmp_path, f"global: {{stores: {{memory: {{{server}: {{password_file: secret}}}}}}}}")
    found = load(path).password(server)
    assert found is not None
    assert found.get_secret_value() == f" {SECRET} "


def test_a_password_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    config = load(memory(valkey={"password_file": str(file)}))
    for secret in ("first", "second"):
        file.write_text(secret, encoding="utf-8")
        found = config.password("valkey")
        assert found is not None
        assert found.get_secret_value() == secret


def test_password_and_password_file_exclude_each_other() -> None:
    error = refused(memory(valkey={"password": "a", "password_file": "b"}))
    assert error.key_path == f"{MEMORY}.valkey.password_file"


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"\n", "empty"), (b"\xff", "UTF-8")])
def test_the_password_file_of_an_enabled_cache_must_be_usable(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    cache = {"enabled": True, "address": "localhost:6379", "password_file": str(file)}
    error = refused(memory(redis_cache=cache))
    assert error.key_path == f"{MEMORY}.redis_cache.password_file"
    assert message in error.message


def test_the_password_file_of_a_server_that_is_not_used_may_be_missing(tmp_path: Path) -> None:
    config = load(memory(redis_cache={"password_file": str(tmp_path / "none")}))
    with pytest.raises(ConfigError, match="cannot be read"):
        config.password("redis_cache")
