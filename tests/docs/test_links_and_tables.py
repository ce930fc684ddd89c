"""The documentation is complete and its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from router_memory import MemoryPlugin, SyncMemory
from router_memory.types import Reason, Status, WriteStatus

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    """Relative links, from the page's own folder."""
    missing = [target for target in _LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_reached_from_the_readme(page: Path) -> None:
    """A page nobody links to is not read."""
    linked = {(ROOT / target).resolve() for target in _LINK.findall((ROOT / "README.md").read_text())}
    assert page == ROOT / "README.md" or page.resolve() in linked


@pytest.mark.parametrize("word", [*Status, *Reason, *WriteStatus])
def test_every_status_and_reason_is_explained(word: str) -> None:
    """In the guide for operators."""
    assert f"`{word}`" in (ROOT / "docs/operations.md").read_text()


def test_the_readme_fits_a_screen_or_two() -> None:
    """What, why, how, why not; the rest is in docs."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


def test_make_targets_of_the_readme_exist() -> None:
    """The two commands."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize(
    "message",
    [
        "was written with",
        "the configuration asks for",
        "has schema",
        "the file is damaged",
        "another process holds the write lock",
        "there is no database at",
        "is not in the local hub cache",
    ],
)
def test_error_texts_of_the_guide_are_those_of_the_code(message: str) -> None:
    """An operator searches for what the screen says."""
    code = "".join(path.read_text() for path in (ROOT / "router_memory/backends").rglob("*.py"))
    assert message in code
    assert message in (ROOT / "docs/operations.md").read_text()


def test_the_example_of_the_library_page_runs(tmp_path: Path) -> None:
    """As it stands, from the repository's folder, with its data elsewhere."""
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs/library.md").read_text(), re.DOTALL)[0]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert "prefers aisle seats" in ran.stdout
    assert "stored" in ran.stdout


@pytest.mark.parametrize("kind", [MemoryPlugin, SyncMemory])
def test_the_library_page_names_every_method(kind: type) -> None:
    """And every property."""
    page = (ROOT / "docs/library.md").read_text()
    public = [name for name in dir(kind) if not name.startswith("_") and name not in ("open", "close", "decisions")]
    assert [name for name in public if name not in page] == []
