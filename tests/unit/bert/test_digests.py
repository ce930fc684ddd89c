"""Digests of large files: remembered while a file stays as it was, and nowhere else."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from router_memory.backends.bert import digests as digests_module
from router_memory.backends.bert.digests import Digests

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 1024 * 1024


class Reading:
    """Reads a file's first byte as its digest, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, file: Path) -> str:
        self.times += 1
        return f"{file.read_bytes()[0]:02x}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "weights"
    written.write_bytes(b"a" * SIZE)
    return written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cache" / "models"
    made.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of these tests need no time to settle."""
    monkeypatch.setattr(digests_module, "SETTLED_SECONDS", 0.0)


def remembered(folder: Path) -> Path:
    (only,) = (folder / ".digests").iterdir()
    return only


def test_a_file_is_read_once(file: Path, folder: Path) -> None:
    """Also by the next process."""
    read = Reading()
    assert [Digests(folder).of(file, "k", read) for _ in range(3)] == ["61"] * 3
    assert read.times == 1


def test_functions_are_remembered_apart(file: Path, folder: Path) -> None:
    read = Reading()
    Digests(folder).of(file, "one", read)
    assert Digests(folder).of(file, "other", lambda _: "x") == "x"


def _write_over(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(b"b")


def _replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"b" * SIZE)
    other.replace(file)


def _lengthen(file: Path) -> None:
    file.write_bytes(b"b" * (SIZE + 1))


def _link(file: Path) -> None:
    _replace(file)
    file.rename(file.with_name("target"))
    file.symlink_to("target")


@pytest.mark.parametrize("change", [_write_over, _replace, _lengthen, _link])
def test_a_changed_file_is_read_again_even_with_its_old_date(change: object, file: Path, folder: Path) -> None:
    """Its inode or the time of its last change of state tells, which no program sets."""
    assert callable(change)
    read = Reading()
    assert Digests(folder).of(file, "k", read) == "61"
    before = file.stat()
    change(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Digests(folder).of(file, "k", read) == "62"


def test_a_file_just_written_is_not_remembered(file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second write within the grain of the clock would not be seen."""
    monkeypatch.setattr(digests_module, "SETTLED_SECONDS", 3_600.0)
    read = Reading()
    assert [Digests(folder).of(file, "k", read) for _ in range(2)] == ["61"] * 2
    assert read.times == 2


def test_a_file_that_changes_while_it_is_read_is_not_remembered(file: Path, folder: Path) -> None:
    def reading(path: Path) -> str:
        _lengthen(path)
        return "old"

    assert Digests(folder).of(file, "k", reading) == "old"
    assert Digests(folder).of(file, "k", Reading()) == "62"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rights")
@pytest.mark.parametrize("which", ["folder", "file"])
def test_what_everybody_may_write_is_not_believed(which: str, file: Path, folder: Path) -> None:
    """Whoever can write a digest could have other weights taken for these."""
    Digests(folder).of(file, "k", Reading())
    known = remembered(folder)
    known.write_text(json.dumps({**json.loads(known.read_text()), "digest": "forged"}))
    assert Digests(folder).of(file, "k", Reading()) == "forged"
    (known if which == "file" else known.parent).chmod(0o777)
    assert Digests(folder).of(file, "k", Reading()) == "61"


@pytest.mark.parametrize("left", ["", "{", "[]", '{"format": 1}', '{"format": 0, "stamp": [], "digest": "x"}'])
def test_a_damaged_note_is_written_anew(left: str, file: Path, folder: Path) -> None:
    Digests(folder).of(file, "k", Reading())
    remembered(folder).write_text(left)
    read = Reading()
    assert [Digests(folder).of(file, "k", read) for _ in range(2)] == ["61"] * 2
    assert read.times == 1


def test_where_nothing_can_be_written_files_are_read(file: Path, tmp_path: Path) -> None:
    """A folder that is none, and no folder at all."""
    read = Reading()
    (tmp_path / "taken").write_text("")
    for digests in (Digests(tmp_path / "taken"), Digests()):
        assert [digests.of(file, "k", read) for _ in range(2)] == ["61"] * 2
    assert read.times == 4


def test_small_files_are_read(tmp_path: Path, folder: Path) -> None:
    """That is sooner done than looking them up."""
    small = tmp_path / "small"
    small.write_bytes(b"a")
    assert Digests(folder).of(small, "k", Reading()) == "61"
    assert not list(folder.iterdir())


def test_a_folder_that_is_missing_stays_so(file: Path, folder: Path) -> None:
    """`doctor`, run by root perhaps, is to create nothing; exports make it."""
    folder.rmdir()
    read = Reading()
    assert [Digests(folder).of(file, "k", read) for _ in range(2)] == ["61"] * 2
    assert [read.times, folder.exists()] == [2, False]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rights")
def test_nothing_is_left_in_the_folder_of_another_user(
    file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, and who owns the folder could not write what root leaves there."""
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert Digests(folder).of(file, "k", Reading()) == "61"
    assert not list(folder.iterdir())


def test_a_file_that_is_missing_is_an_error(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Digests(folder).of(tmp_path / "none", "k", Reading())
