"""Whatever goes wrong is one line on standard error and an exit code."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
import typer

from router_memory.errors import (
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    EmbeddingError,
    IndexMismatch,
    InvalidRequest,
    MissingExtra,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.conftest import Cli

WHERE: Any = {"backend": "embedded", "operation": "add"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serach", "x"], "No such command 'serach'"),
        (["search"], "Missing argument 'QUERY'"),
        (["list", "--nonsense"], "No such option: --nonsense"),
        (["list", "--limit", "many"], "Invalid value for '--limit'"),
        (["list", "--type", "poetic"], "Invalid value for '--type'"),
        (["config", "chekc"], "No such command 'chekc'"),
        (["get", "a", "b"], "unexpected extra argument"),
        (["list", "--limit", "0"], "limit must be a whole number"),
        (["list", "--cursor", "rubbish"], "cursor"),
        (["search", " "], "query must be"),
        (["search", "x", "--threshold", "1.5"], "threshold must be a number in [0, 1]"),
        (["add", ""], "content must not be empty"),
        (["add", "x", "--user", " "], "user_id must not be empty"),
        (["add", "\udcff"], "the text is not UTF-8"),
        (["update", "some-id"], "nothing to update"),
        (["forget"], "nothing to forget"),
        (["forget", "--all", "some-id"], "exclude each other"),
        (["forget", "--older-than", "30d"], "need --all"),
        (["forget", "--all", "--yes", "--older-than", "a while"], "--older-than must be an age"),
        (["forget", "--all", "--yes", "--older-than", "99999999999d"], "--older-than must be an age"),
        (["list", "--config", "/no/such.yaml"], "there is no such file"),
        (["config", "check", "/no/such.yaml"], "there is no such file"),
        (["demo", "--conversation", "/no/such.jsonl"], "cannot be read"),
        (["doctor", "--planned", "0"], "Invalid value for '--planned'"),
        (["doctor", "--config", "/no/such.yaml"], "there is no such file"),
        (["demo", "--questions", "0"], "questions must be at least 1"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(cli: Cli, arguments: list[str], message: str) -> None:
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.error


def test_without_a_user_the_error_names_the_option(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROUTER_MEMORY_USER")
    ran = cli("list")
    assert ran.code == 2
    assert "'--user'" in ran.error


def test_a_usage_error_says_which_help_to_look_at(cli: Cli) -> None:
    assert cli("search").error.endswith("(see router-memory search --help)")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x", file="f", key_path="k"), 2),
        (InvalidRequest("x"), 2),
        (BackendUnavailable("x", **WHERE), 3),
        (BackendTimeout("x", **WHERE), 3),
        (BackendRejected("x", **WHERE), 1),
        (IndexMismatch("x", **WHERE, expected="a", found="b"), 1),
        (EmbeddingError("x"), 1),
        (MissingExtra("x", extra="server"), 1),
        (OSError(28, "No space left on device"), 1),
        (ZeroDivisionError("division by zero"), 1),
        (typer.Abort(), 130),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_kind_of_error_has_its_exit_code(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("router_memory.cli.operations.with_memory", fail)
    ran = cli("stats")
    assert ran.code == code
    assert ran.out == ""
    assert ran.err == "" if code == 130 else ran.error


def test_a_message_of_several_lines_with_escapes_comes_out_as_one_harmless_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise BackendRejected("first\nsecond\x1b[2J", hint="do\nthis", **WHERE)

    monkeypatch.setattr("router_memory.cli.operations.with_memory", fail)
    assert cli("stats").error == r"embedded add: first second\x1b[2J (do this)"


def test_a_traceback_is_shown_for_debug_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("router_memory.cli.operations.with_memory", fail)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    assert "Traceback" not in cli("stats").err
    assert "Traceback" in cli("--debug", "stats").err
    monkeypatch.setenv("ROUTER_MEMORY_DEBUG", "1")
    assert "Traceback" in cli("stats").err


@pytest.mark.parametrize("command", ["get", "update", "forget"])
def test_a_memory_that_is_not_there_is_exit_code_1(cli: Cli, command: str) -> None:
    options = ["--importance", "0.9"] if command == "update" else []
    ran = cli(command, "0" * 32, *options)
    assert ran.code == 1
    assert "0" * 32 in ran.error


def test_a_corrupt_database_says_what_to_do(cli: Cli, config: Path) -> None:
    config.with_name("memory.db").write_bytes(b"this is no database at all" * 1000)
    ran = cli("stats")
    assert ran.code == 1
    assert "restore the file from a backup" in ran.error


def test_a_locked_database_is_unavailable(cli: Cli, config: Path) -> None:
    assert cli("add", "something to begin with").code == 0
    config.write_text(config.read_text() + "        busy_timeout_ms: 1\n")
    lock = sqlite3.connect(config.with_name("memory.db"), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        ran = cli("add", "one more thing to remember")
    finally:
        lock.close()
    assert ran.code == 3
    assert ran.out == ""
    assert "embedded" in ran.error


def test_errors_stay_on_standard_error_with_json(cli: Cli) -> None:
    ran = cli("get", "0" * 32, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.error
