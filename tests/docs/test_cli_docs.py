"""docs/cli.md has a section for every command with every argument and option, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from router_memory.cli.app import tree
from router_memory.storage.portable import FIELDS, from_line, to_line

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
OPTION = re.compile(r"--?[a-z][a-z-]*")


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


def parameters(command: Any) -> set[str]:
    names: set[str] = set()
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            names.add(parameter.metavar)
        else:
            names |= {*parameter.opts, *parameter.secondary_opts}
    return names - {"--help", "-h"}


def documented(section: str) -> set[str]:
    names: set[str] = set()
    for cell in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE):
        for code in re.findall(r"`([^`]+)`", cell):
            names.add(code.split()[0] if code.startswith("-") else code)
    return names


COMMANDS = dict(commands(typer.main.get_command(tree()), "router-memory"))
SECTIONS = dict(re.findall(r"^## `([^`]+)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(SECTIONS) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_a_section_names_exactly_the_parameters_of_its_command(path: str) -> None:
    assert documented(SECTIONS[path]) == parameters(COMMANDS[path])


@pytest.mark.parametrize("path", COMMANDS)
def test_every_parameter_says_what_it_is_for(path: str) -> None:
    assert all(parameter.help for parameter in COMMANDS[path].params)
    assert COMMANDS[path].help


def test_options_named_in_running_text_exist() -> None:
    known = {name for command in COMMANDS.values() for name in parameters(command)}
    assert set(OPTION.findall(" ".join(re.findall(r"`(--[^`]+)`", PAGE)))) <= known


def test_the_line_of_an_export_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    record, unknown = from_line(example.replace("\n", "").encode())
    assert (tuple(json.loads(example)), unknown) == (FIELDS, ())
    assert json.loads(to_line(record)) == json.loads(example)


def test_exit_codes_are_those_of_the_program() -> None:
    from router_memory.cli import entry

    codes = {entry.OK, entry.FAILED, entry.USAGE, entry.UNAVAILABLE, entry.INTERRUPTED, entry.CLOSED}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)} == codes
