"""`doctor` says what is wrong and what to do, and its exit code says how bad it is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from router_memory.errors import BackendRejected, BackendUnavailable, EmbeddingError
from router_memory.types import REACHABLE, CheckStatus, Finding
from tests.doubles import HashingEmbedder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.cli.conftest import Cli

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
KEYS = {"name", "status", "finding", "advice", "data"}


@pytest.fixture
def store_says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the store's own findings these."""

    def say(*findings: Finding) -> None:
        async def examine(_: object, *, planned: int | None = None) -> tuple[Finding, ...]:
            assert planned is None
            return findings

        monkeypatch.setattr("router_memory.backends.embedded.EmbeddedStore.examine", examine)

    return say


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_store_in_use_is_well(cli: Cli, added: Callable[..., str]) -> None:
    added("prefers aisle seats")
    ran = cli("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert "1 memory of 1 user" in ran.out
    assert "0 failed" not in ran.out


def test_a_store_that_was_never_written_is_no_failure_and_is_not_made(cli: Cli, config: Path) -> None:
    ran = cli("doctor")
    assert ran.code == 0
    assert "no database" in ran.out
    assert not config.with_name("memory.db").exists()


def test_every_status_is_shown_with_what_to_do(cli: Cli, store_says: Callable[..., None]) -> None:
    store_says(
        Finding("search", OK, "the module is loaded"),
        Finding("persistence", WARN, "there is no append-only file", "turn appendonly on"),
        Finding("index", FAIL, "another dimension", "configure another index_name"),
    )
    ran = cli("doctor")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert any(line.startswith("ok    search") for line in lines)
    assert any(line.startswith("warn  persistence") for line in lines)
    assert any(line.startswith("fail  index") for line in lines)
    assert "→ turn appendonly on" in ran.out
    assert "→ configure another index_name" in ran.out
    assert lines[-1] == "embedded: 6 checks, 1 failed, 1 to look at"


def test_the_same_advice_is_given_once(cli: Cli, store_says: Callable[..., None]) -> None:
    store_says(Finding("module", FAIL, "no Search", "load it"), Finding("index", FAIL, "no Search", "load it"))
    out = cli("doctor").out
    assert out.count("→ load it") == out.count("→ as above") == 1
    assert [finding["advice"] for finding in cli("doctor", "--json").json["findings"][3:]] == ["load it", "load it"]


def test_when_all_is_well_it_says_so(cli: Cli, store_says: Callable[..., None]) -> None:
    store_says(Finding("search", OK, "the module is loaded"))
    assert cli("doctor").out.rstrip().endswith("embedded: 4 checks, all is well")


@pytest.mark.parametrize(
    ("findings", "code", "status"),
    [
        ([("a", OK), ("b", WARN)], 0, "warn"),
        ([("a", OK), ("b", OK)], 0, "ok"),
        ([("a", OK), ("b", FAIL)], 1, "fail"),
        ([(REACHABLE, FAIL)], 3, "fail"),
        ([(REACHABLE, FAIL), ("b", FAIL)], 3, "fail"),
        ([(REACHABLE, WARN), ("b", FAIL)], 1, "fail"),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    cli: Cli, store_says: Callable[..., None], findings: list[tuple[str, CheckStatus]], code: int, status: str
) -> None:
    store_says(*(Finding(name, level, "something") for name, level in findings))
    assert cli("doctor").code == code
    ran = cli("doctor", "--json")
    assert ran.code == code
    assert ran.json["status"] == status


def test_json_has_one_schema(cli: Cli, config: Path, store_says: Callable[..., None]) -> None:
    store_says(Finding("memory", WARN, "little is free", "raise maxmemory", {"used": 1, "peak": 2}))
    found = cli("doctor", "--json").json
    assert set(found) == {"file", "backend", "status", "findings"}
    assert (found["file"], found["backend"], found["status"]) == (str(config), "embedded", "warn")
    assert all(set(finding) == KEYS for finding in found["findings"])
    assert [finding["name"] for finding in found["findings"]] == ["configuration", "model", "runtime", "memory"]
    assert found["findings"][-1]["data"] == {"used": 1, "peak": 2}


def test_planned_memories_are_estimated(cli: Cli) -> None:
    found = {finding["name"]: finding for finding in cli("doctor", "--planned", "1000000", "--json").json["findings"]}
    assert found["planned"]["data"]["memories"] == 1_000_000
    assert "1,000,000 memories will take about" in cli("doctor", "--planned", "1000000").out


def test_a_corrupt_database_is_a_failure_with_advice(cli: Cli, config: Path) -> None:
    config.with_name("memory.db").write_bytes(b"this is no database at all" * 1000)
    ran = cli("doctor")
    assert (ran.code, ran.err) == (1, "")
    assert "restore the file from a backup" in words(ran.out)


@pytest.mark.parametrize(("kind", "code"), [(BackendRejected, 1), (BackendUnavailable, 3)])
def test_a_store_that_raises_is_a_finding(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: type[BackendRejected | BackendUnavailable], code: int
) -> None:
    async def examine(_: object, **__: object) -> None:
        raise kind("it broke", backend="embedded", operation="examine", hint="mend it")

    monkeypatch.setattr("router_memory.backends.embedded.EmbeddedStore.examine", examine)
    ran = cli("doctor")
    assert (ran.code, ran.err) == (code, "")
    assert "embedded examine: it broke" in ran.out
    assert "→ mend it" in ran.out


def test_a_server_that_is_away_is_out_of_reach_and_the_rest_is_told(cli: Cli, config: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: whoever connects is refused
        taken.bind(("127.0.0.1", 0))
        valkey = f"{{host: 127.0.0.1, port: {taken.getsockname()[1]}, timeout: 2}}"
        config.write_text(f"global: {{stores: {{memory: {{enabled: true, backend: valkey, valkey: {valkey}}}}}}}")
        ran = cli("doctor")
        other = cli("stats")
    assert (ran.code, ran.err) == (3, "")
    assert "fail  reachable" in ran.out
    assert "no connection to the server" in words(ran.out)
    assert "ok    model" in ran.out
    assert other.code == 3
    assert "no connection to the server" in other.error


def test_the_store_is_examined_without_the_model(
    cli: Cli, added: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    added("prefers aisle seats")

    async def missing(_: HashingEmbedder) -> None:
        raise EmbeddingError("there is no such model", hint="install one")

    monkeypatch.setattr(HashingEmbedder, "identify", missing)
    ran = cli("doctor")
    assert ran.code == 0
    assert "there is no such model" in words(ran.out)
    assert "→ install one" in ran.out
    assert "1 memory of 1 user" in ran.out


def test_another_model_is_a_failure(cli: Cli, added: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    added("prefers aisle seats")
    monkeypatch.setattr(HashingEmbedder, "fingerprint", "other/64/model")
    ran = cli("doctor")
    assert ran.code == 1
    assert "the configuration asks for 'other/64/model'" in words(ran.out)


def test_warnings_of_the_configuration_are_findings(cli: Cli, config: Path) -> None:
    config.write_text(config.read_text() + "      quality_scoring:\n        prune_threshold: 0.2\n")
    finding = cli("doctor", "--json").json["findings"][0]
    assert (finding["name"], finding["status"]) == ("configuration", "warn")
    assert "nothing is pruned yet" in finding["finding"]
    assert len(finding["data"]["warnings"]) == 1


def test_a_finding_cannot_steer_the_terminal(cli: Cli, store_says: Callable[..., None]) -> None:
    store_says(Finding("x\x1b[2J", FAIL, "y\x1b[2J [bold]", "z\x1b[2J"))
    ran = cli("doctor")
    assert "\x1b" not in ran.out
    assert "[bold]" in ran.out


def test_a_narrow_terminal_cuts_nothing_off(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, store_says: Callable[..., None]
) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    store_says(Finding("persistence", WARN, " ".join(f"word{n}" for n in range(40)), "advice " * 10))
    out = words(cli("doctor").out)
    assert all(f"word{n}" in out for n in range(40))
