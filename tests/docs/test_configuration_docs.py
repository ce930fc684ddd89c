"""The table in docs/configuration.md has every key, with its type, range and default, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, get_origin

import pytest
from pydantic import BaseModel, SecretStr

from router_memory.config import MemorySection, PluginSection, load_config
from router_memory.config.fields import bounds, choices, item_section, kind, section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"
NAMES = {int: "integer", float: "number", bool: "boolean", str: "string", SecretStr: "secret string"}


def keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner, item = section(field), item_section(field)
        if inner is not None:
            yield from keys(inner, f"{prefix}{name}.")
        elif item is not None:
            yield from keys(item, f"{prefix}{name}[].")
        else:
            yield prefix + name, field


def number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def type_cell(field: FieldInfo) -> str:
    is_list = get_origin(kind(field.annotation)) is tuple
    words = [f"`{choice}`" if choice else '`""`' for choice in choices(field)]
    if words:
        return ("list of " if is_list else "") + ", ".join(words)
    name = (
        "list of strings" if is_list else next(text for known, text in NAMES.items() if kind(field.annotation) is known)
    )
    limits = bounds(field)
    return name + (f", {number(limits[0])}–{number(limits[1])}" if limits else "")


def default_cell(value: object) -> str:
    if value is None:
        return "global"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{number(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return f"`{text}`" if text else '`""`'


def rows() -> dict[str, tuple[str, str, str, str]]:
    found: dict[str, tuple[str, str, str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| `(memory|plugin)\.", line):
            key, form, default, meaning, there = (cell.strip() for cell in line.strip("|").split(" | "))
            assert key.strip("`") not in found, f"{key} has two rows"
            found[key.strip("`")] = (form, default, meaning, there)
    return found


FIELDS = dict([*keys(MemorySection, "memory."), *keys(PluginSection, "plugin.")])
ROWS = rows()


@pytest.mark.parametrize("key", FIELDS)
def test_a_key_has_a_row_with_its_type_and_default(key: str) -> None:
    assert key in ROWS, f"{key} is missing in {PAGE.name}"
    form, default, meaning, there = ROWS[key]
    assert form == type_cell(FIELDS[key])
    assert default == default_cell(FIELDS[key].get_default())
    assert meaning
    assert there


@pytest.mark.parametrize("key", ROWS)
def test_a_row_is_about_a_key_that_exists(key: str) -> None:
    assert key in FIELDS


def test_the_rows_come_in_the_order_of_the_models() -> None:
    assert list(ROWS) == list(FIELDS)


@pytest.mark.parametrize("link", re.findall(r"\]\((\.\./[^)]+)\)", PAGE.read_text(encoding="utf-8")))
def test_a_linked_file_exists(link: str) -> None:
    assert (PAGE.parent / link).is_file()


def test_the_example_in_python_prints_what_it_says() -> None:
    policy = load_config(ROOT / "config" / "config.yaml").policy("strict_route")
    assert f"# {policy.recall.limit} {policy.recall.threshold}" in PAGE.read_text(encoding="utf-8")


def test_the_example_of_an_error_is_what_is_raised() -> None:
    (shown,) = re.findall(r"^router\.yaml: (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    wrong = {"retreival_limit": 3, "similarity_threshold": 2, "auto_store": 1}
    decisions = [{"name": "other"}, {"name": "billing", "plugins": [{"type": "memory", "configuration": wrong}]}]
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the whole text is compared below
        load_config({"routing": {"decisions": decisions}})
    assert str(caught.value).removeprefix("<dict>: ") == shown
