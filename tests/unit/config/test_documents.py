"""Files that cannot be read, are no YAML, or have the wrong shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router_memory.config import MemorySection, load_config
from router_memory.errors import ConfigError
from tests.unit.config.support import MEMORY, load, refused, written

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_file_is_named_with_its_nearest_sibling(tmp_path: Path) -> None:
    written(tmp_path, "")
    error = refused(tmp_path / "ruoter.yml")
    assert error.file == str(tmp_path / "ruoter.yml")
    assert "no such file" in error.message
    assert "'router.yaml'" in error.hint


def test_a_missing_file_is_never_taken_for_something_else_than_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "two.db-wal").touch()
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "two.yaml")
    assert caught.value.hint == "check the path"
    (tmp_path / "tow.yml").touch()
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "two.yaml")
    assert "'tow.yml'" in caught.value.hint


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "etc") in refused(tmp_path / "etc" / "router.yaml").hint


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert "is a folder" in error.message
    assert error.file == str(tmp_path)


def test_an_unreadable_file_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_bytes(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, "")
    monkeypatch.setattr(type(path), "read_bytes", read_bytes)
    assert "Permission denied" in refused(path).message


def test_a_path_with_a_zero_character_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a path"):
        load_config("router\0.yaml")


@pytest.mark.parametrize("text", ["", "\n", "# nothing here\n", "---\n"])
def test_an_empty_file_is_all_defaults(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text)).memory == MemorySection()


@pytest.mark.parametrize(("text", "shape"), [("- a\n", "list"), ("memory\n", "single value")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, shape: str) -> None:
    error = refused(written(tmp_path, text))
    assert f"is a {shape}, not a mapping" in error.message
    assert "global:" in error.hint


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("global:\n  stores: [\n", 3, 1), ("a: b: c\n", 1, 5), ("a: 1\n\tb: 2\n", 2, 1), ("a: 'x\n", 2, 1)],
)
def test_a_syntax_error_names_line_and_column(tmp_path: Path, text: str, line: int, column: int) -> None:
    path = written(tmp_path, text)
    error = refused(path)
    assert error.file == str(path)
    assert f"line {line}, column {column}: is not valid YAML" in error.message


@pytest.mark.parametrize(
    "value", ["*hunter2", "&hunter2 a\n  again: &hunter2 b", "!hunter2!x y", "'hunter2", "@hunter2"]
)
def test_a_syntax_error_shows_nothing_of_the_file(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f"valkey:\n  password: {value}\n")
    assert "hunter2" not in str(refused(path))


def test_a_second_document_in_the_file_is_refused(tmp_path: Path) -> None:
    assert "another document" in refused(written(tmp_path, "a: 1\n---\nb: 2\n")).message


@pytest.mark.parametrize("content", [b"a: \xff\xfe\n", b"a: \x00\n", b"\x80"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "router.yaml"
    path.write_bytes(content)
    assert "text file" in refused(path).message


def test_a_file_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in refused(written(tmp_path, "[" * 5000)).message


def test_a_section_that_holds_itself_is_refused(tmp_path: Path) -> None:
    text = "global:\n  stores:\n    memory: &all\n      valkey: *all\n"
    assert "holds itself" in refused(written(tmp_path, text)).message


def test_an_unreadable_number_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(written(tmp_path, "a: 0x_\n")).message


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    text = "global:\n  stores:\n    memory:\n      enabled: true\n      backend: embedded\n      enabled: false\n"
    assert "line 6, column 7: the key enabled stands twice" in refused(written(tmp_path, text)).message


def test_a_key_that_stands_twice_in_a_foreign_section_is_refused_too(tmp_path: Path) -> None:
    assert "line 2, column 1: the key a stands twice" in refused(written(tmp_path, "a: 1\na: 2\n")).message


def test_a_merged_key_may_be_overridden(tmp_path: Path) -> None:
    text = """
base: &base {default_retrieval_limit: 3, enabled: true}
global: {stores: {memory: {<<: *base, default_retrieval_limit: 4}}}
"""
    assert load(written(tmp_path, text)).memory.default_retrieval_limit == 4


@pytest.mark.parametrize(
    ("text", "key_path"),
    [
        ("global: []", "global"),
        ("global: {stores: 5}", "global.stores"),
        ("global: {stores: {memory: on}}", MEMORY),
        ("routing: []", "routing"),
        ("routing: {decisions: {}}", "routing.decisions"),
        ("routing: {decisions: [a]}", "routing.decisions[0]"),
        ("routing: {decisions: [{name: a, plugins: {}}]}", "routing.decisions[0].plugins"),
        ("routing: {decisions: [{name: a, plugins: [memory]}]}", "routing.decisions[0].plugins[0]"),
    ],
)
def test_what_encloses_our_sections_must_have_its_shape(tmp_path: Path, text: str, key_path: str) -> None:
    error = refused(written(tmp_path, text))
    assert error.key_path == key_path
    assert "must be a" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "global:",
        "global: {stores: }",
        "global: {stores: {memory: }}",
        "routing:",
        "routing: {decisions: }",
        "routing: {decisions: [{name: a, plugins: }]}",
        "routing: {decisions: [{name: a, plugins: [{type: memory}]}]}",
        "routing: {decisions: [{name: a, plugins: [{type: memory, configuration: }]}]}",
    ],
)
def test_what_encloses_our_sections_may_be_empty(tmp_path: Path, text: str) -> None:
    assert load(written(tmp_path, text)).memory == MemorySection()


def test_a_value_with_a_foreign_tag_is_refused_where_it_is_ours(tmp_path: Path) -> None:
    error = refused(written(tmp_path, "global: {stores: {memory: {backend: !vault x}}}"))
    assert error.key_path == f"{MEMORY}.backend"


def test_a_key_that_yaml_reads_as_a_value_is_refused(tmp_path: Path) -> None:
    error = refused(written(tmp_path, "global: {stores: {memory: {on: true}}}"))
    assert error.key_path == MEMORY
    assert "True is not a string" in error.message
