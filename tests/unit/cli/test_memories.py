"""add, search, get, list, update, forget and stats on a real store."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from router_memory.cli.operations import parse_age
from router_memory.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.conftest import Cli

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_add_prints_the_memory_with_its_id(cli: Cli, added: Callable[..., str]) -> None:
    id = added("I take the aisle seat")  # noqa: A001 - the field's own name
    ran = cli("add", "I take the aisle seat", "--speaker", "Ann")
    assert id in ran.out
    assert "I take the aisle seat" in ran.out


def test_add_keeps_type_speaker_and_project(cli: Cli) -> None:
    record = cli("add", "one two three", "--type", "episodic", "--speaker", "Ann", "--project", "p", "--json").json
    assert (record["type"], record["speaker"], record["scope"]) == (
        "episodic",
        "Ann",
        {"user_id": "ann", "project": "p"},
    )


def test_add_reads_standard_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("über\nzwei Zeilen".encode())))
    assert cli("add", "-", "--json").json["content"] == "über\nzwei Zeilen"


def test_add_refuses_standard_input_that_is_not_utf8(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))
    ran = cli("add", "-")
    assert ran.code == 2
    assert ran.error == "standard input is not UTF-8"


def test_search_finds_what_was_added(cli: Cli, added: Callable[..., str]) -> None:
    id = added("I take the aisle seat on planes")  # noqa: A001 - the field's own name
    added("my dog is called Dosa")
    hits = cli("search", "aisle seat on planes", "--threshold", "0.7", "--json").json["hits"]
    assert [hit["record"]["id"] for hit in hits] == [id]
    assert "aisle seat" in cli("search", "aisle seat on planes", "--threshold", "0.7").out


def test_search_explains_itself(cli: Cli, added: Callable[..., str]) -> None:
    added("I take the aisle seat on planes")
    added("my dog is called Dosa")
    explained = cli("search", "aisle seat on planes", "--threshold", "0.7", "--explain", "--json").json
    assert {"hits", "cut", "below", "candidates", "seconds"} <= set(explained)
    text = cli("search", "aisle seat on planes", "--threshold", "0.7", "--explain").out
    assert "next best, not returned" in text
    assert "Dosa" in text


def test_search_that_finds_nothing_says_so(cli: Cli) -> None:
    ran = cli("search", "anything at all")
    assert ran.code == 0
    assert "no memories reached the threshold" in ran.out


def test_another_user_finds_nothing(cli: Cli, added: Callable[..., str]) -> None:
    id = added("I take the aisle seat on planes")  # noqa: A001 - the field's own name
    assert cli("search", "aisle seat", "--threshold", "0", "--user", "bob", "--json").json == {"hits": []}
    assert cli("get", id, "--user", "bob").code == 1


def test_get_shows_a_memory(cli: Cli, added: Callable[..., str]) -> None:
    id = added("I take the aisle seat")  # noqa: A001 - the field's own name
    assert cli("get", id, "--json").json["content"] == "I take the aisle seat"
    assert "I take the aisle seat" in cli("get", id).out


def test_list_goes_through_the_pages(cli: Cli, added: Callable[..., str]) -> None:
    ids = {added(f"memory number {n}") for n in range(3)}
    first = cli("list", "--limit", "2", "--json").json
    second = cli("list", "--limit", "2", "--cursor", first["cursor"], "--json").json
    assert {record["id"] for record in first["records"] + second["records"]} == ids
    assert (first["total"], second["cursor"]) == (3, None)
    assert f"--cursor {first['cursor']}\n" in cli("list", "--limit", "2").out


def test_list_narrows_to_types(cli: Cli, added: Callable[..., str]) -> None:
    added("about the world")
    id = added("about that day", "--type", "episodic")  # noqa: A001 - the field's own name
    records = cli("list", "--type", "episodic", "--type", "procedural", "--json").json["records"]
    assert [record["id"] for record in records] == [id]


def test_update_changes_what_is_given(cli: Cli, added: Callable[..., str]) -> None:
    id = added("I take the aisle seat")  # noqa: A001 - the field's own name
    record = cli("update", id, "--content", "I take the window", "--importance", "0.9", "--json").json
    assert (record["id"], record["content"], record["importance"], record["type"]) == (
        id,
        "I take the window",
        0.9,
        "semantic",
    )


def test_forget_deletes_ids(cli: Cli, added: Callable[..., str]) -> None:
    ids = [added("one thing"), added("another thing")]
    assert cli("forget", *ids, "--json").json == {"forgotten": 2, "missing": []}
    assert cli("list", "--json").json["total"] == 0


def test_forget_deletes_what_is_there_and_names_what_is_not(cli: Cli, added: Callable[..., str]) -> None:
    id = added("one thing")  # noqa: A001 - the field's own name
    ran = cli("forget", "0" * 32, id, "--json")
    assert ran.code == 1
    assert ran.json == {"forgotten": 1, "missing": ["0" * 32]}
    assert "0" * 32 in ran.error


def test_forget_all_without_a_terminal_needs_yes(
    cli: Cli, added: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    added("one thing")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ran = cli("forget", "--all")
    assert ran.code == 2
    assert "--yes" in ran.error
    assert cli("list", "--json").json["total"] == 1
    assert cli("forget", "--all", "--yes", "--json").json == {"forgotten": 1}


@pytest.mark.parametrize(("answer", "left", "code"), [("y\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1)])
def test_forget_all_asks_on_a_terminal(
    cli: Cli, added: Callable[..., str], monkeypatch: pytest.MonkeyPatch, answer: str, left: int, code: int
) -> None:
    added("one thing")
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    ran = cli("forget", "--all")
    assert ran.code == code
    assert "1 memories of ann" in ran.err
    assert cli("list", "--json").json["total"] == left


def test_forget_all_narrows_to_type_and_age(cli: Cli, added: Callable[..., str]) -> None:
    added("about the world")
    added("about that day", "--type", "episodic")
    assert cli("forget", "--all", "--yes", "--older-than", "1d", "--json").json == {"forgotten": 0}
    assert cli("forget", "--all", "--yes", "--type", "episodic", "--json").json == {"forgotten": 1}
    assert cli("forget", "--all", "--yes", "--older-than", "2999-01-01", "--json").json == {"forgotten": 1}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", NOW - timedelta(days=30)),
        ("12h", NOW - timedelta(hours=12)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
    ],
)
def test_ages_and_dates_are_understood(text: str, moment: datetime) -> None:
    assert parse_age(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "yesterday", "2026-13-01", "9999999d"])
def test_other_ages_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_age(text, now=NOW)


def test_stats_counts_over_all_users(cli: Cli, added: Callable[..., str]) -> None:
    added("one thing")
    added("another thing", "--user", "bob")
    stats = cli("stats", "--json").json
    assert (stats["memories"], stats["users"]) == (2, 2)
    assert "embedded" in cli("stats").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(cli: Cli, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv("_ROUTER_MEMORY_COMPLETE", f"source_{shell}")
    ran = cli()
    assert ran.code == 0
    assert "router-memory" in ran.out


def test_commands_are_completed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_ROUTER_MEMORY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "router-memory s")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert cli().out.split() == ["serve", "search", "stats"]


def test_stats_counts_one_user(cli: Cli, added: Callable[..., str]) -> None:
    """Beside the totals."""
    added("I take the aisle seat")
    assert cli("stats", "--user", "nobody", "--json").json["user_memories"] == 0


def test_a_mistyped_decision_is_an_error(cli: Cli, added: Callable[..., str]) -> None:
    """A request falls back to the globals; a person wants to know."""
    ran = cli("search", "which seat?", "--user", "priya", "--decision", "nosuch")
    assert ran.code == 2
    assert "no decision 'nosuch'" in ran.error
