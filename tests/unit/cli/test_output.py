"""User content can neither steer a terminal nor break the JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from router_memory.cli.output import emit_json, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.conftest import Cli

NASTY = "\x1b[31mred\x1b]0;title\x07 [bold]x[/bold] [link=http://e.example]l[/] \x9b2J \u202eabc\u2028 \r\b \x7f"
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]")


def test_controls_are_written_out() -> None:
    assert printable("a\x1b[2Jb\x9b\u202ec\r\nd\te") == "a\\x1b[2Jb\\x9b\\u202ec\nd    e"


def test_what_is_readable_stays() -> None:
    text = "Tomás 👩‍🍳 café 東京 שלום [not markup]"
    assert printable(text) == text


def test_one_line_has_no_line_break() -> None:
    assert one_line(" a\n\n b\u2028c ") == "a b\\u2028c"


@pytest.mark.parametrize("value", [NASTY, "\ud83d", "\U000e0041", "é 👍", {"k\x9b": [1.5, None, True]}])
def test_json_is_read_back_as_it_was_and_holds_no_raw_control(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    emit_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert not DANGEROUS.search(out)


@pytest.mark.parametrize("command", [["list"], ["search", "red title"], ["search", "red title", "--explain"]])
def test_no_command_prints_a_control_character(cli: Cli, added: Callable[..., str], command: list[str]) -> None:
    added(NASTY, "--speaker", NASTY, "--project", NASTY)
    threshold = ["--threshold", "0"] if command[0] == "search" else []
    for extra in ([], ["--json"]):
        ran = cli(*command, *threshold, *extra)
        assert ran.code == 0
        assert "red" in ran.out
        assert not DANGEROUS.search(ran.out)


def test_markup_is_shown_as_it_is(cli: Cli, added: Callable[..., str]) -> None:
    id = added("press [bold]now[/bold] :smile: [/]")  # noqa: A001 - the field's own name
    assert "press [bold]now[/bold] :smile: [/]" in cli("get", id).out


def test_an_error_that_quotes_the_command_line_is_harmless(cli: Cli) -> None:
    ran = cli("get", "\x1b[31m" + "0" * 8)
    assert "\x1b" not in ran.error
