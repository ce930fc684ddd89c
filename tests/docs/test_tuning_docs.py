"""The worked example of tuning is one command, and what it printed is a configuration."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import typer

from router_memory.cli.app import tree
from router_memory.config import load_config
from router_memory.tuning import parse_objective

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
(SECTION,) = re.findall(r"^## Tuning a decision\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)


def test_the_command_is_understood() -> None:
    (command,) = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    program, name, *arguments = shlex.split(command.replace("\\\n", ""))
    assert (program, name) == ("router-memory", "tune")
    known = typer.main.get_command(tree()).commands["tune"]  # type: ignore[attr-defined]  # a group has them
    given = known.make_context(name, arguments).params
    assert (ROOT / given["data"]).is_file()
    assert given["decision"] in load_config(ROOT / given["config"]).decisions
    assert str(parse_objective(given["objective"])) in SECTION.partition("```text")[2]


def test_what_it_printed_is_a_configuration(tmp_path: Path) -> None:
    (printed,) = re.findall(r"^(routing:\n.*?)```", SECTION, re.MULTILINE | re.DOTALL)
    file = tmp_path / "printed.yaml"
    file.write_text(printed, encoding="utf-8")
    policy = load_config(file).policy("personalized_route")
    (chosen,) = re.findall(r"^ +(0\.\d\d) .* chosen$", SECTION, re.MULTILINE)
    assert f"{policy.recall.threshold:.2f}" == chosen


def test_every_goal_is_explained() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    goals = re.findall(r"^\| (f1|balanced|(?:precision|recall|tokens)=[\d.]+) \|", page, re.MULTILINE)
    assert [parse_objective(goal).name for goal in goals] == ["f1", "balanced", "precision", "recall", "tokens"]
